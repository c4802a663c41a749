// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.native as native';

/* Text for a bond's other end, to be copied there. Pure; only public keys are in it. */

/* What a server's network is unless something else is said, and the first address of a client in it. */
const SERVER_ADDRESS = '10.99.0.1/24', CLIENT_ADDRESS = '10.99.0.2/24';
/* What a server is called in these texts. */
const SERVER = 'server';
/* Both ends have the same of these. */
const ALIKE = [ 'port', 'ports', 'obfuscate' ];
const NUMBERS = [ 'port', 'ports' ];

function list(value) {
	return value == null ? [] : [ value ].flat().flatMap(each => String(each).split(/[\s,]+/)).filter(each => each);
}

function uci(sections) {
	return native.text(sections.map(({ type, name, options }) => ({ '.type': type, '.name': name, '.anonymous': false, ...options })));
}

/* A TOML string has the escapes of a JSON one. */
function literal(name, value) {
	if (Array.isArray(value))
		return `[${value.map(each => JSON.stringify(each)).join(', ')}]`;
	if (NUMBERS.includes(name))
		return String(Number(value));
	return name == 'obfuscate' ? String(value == '1') : JSON.stringify(value);
}

function toml(sections) {
	return sections.map(({ type, name, options }) => `[${type}s.${/^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name)}]\n`
		+ Object.entries(options).map(([ option, value ]) => `${option} = ${literal(option, value)}\n`).join('')).join('\n');
}

/* What is set on one end and must be so on the other. */
function alike(options) {
	return Object.fromEntries(ALIKE.filter(name => options[name] != null && options[name] !== '').map(name => [ name, String(options[name]) ]));
}

/* The first address of the network that the client is in, or the second where that is its own one. */
function addressOfServer(addresses) {
	const [ , text, length ] = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(addresses.find(each => /^[\d.]+\/\d+$/.test(each)) ?? CLIENT_ADDRESS) ?? [];
	if (!text || length < 1 || length > 30)
		return SERVER_ADDRESS;

	const own = text.split('.').reduce((number, part) => number * 256 + +part, 0), size = 2 ** (32 - length);
	const first = own - own % size + 1, number = first == own ? first + 1 : first;

	return `${[ 24, 16, 8, 0 ].map(bits => Math.floor(number / 2 ** bits) % 256).join('.')}/${length}`;
}

/* Lines for a shell of the server. `file` is its configuration. */
function start(file) {
	return [
		'# As root on the server: Python 3.11 or newer, in the directory of NetPath\'s source.',
		'python3 -m venv /opt/netpath',
		'/opt/netpath/bin/pip install \'.[bond]\'',
		'ln -s /opt/netpath/bin/netpath /usr/local/sbin/netpath',
		'mkdir -p /etc/netpath',
		'cat > /etc/netpath/config.toml <<\'END\'',
		`${file}END`,
		'# Makes the server\'s keys, and prints the public one: it is server_key of the router.',
		`netpath bond genkey ${SERVER}`,
		'cp examples/netpath-bond-server.service /etc/systemd/system/',
		'systemctl enable --now netpath-bond-server',
		''
	].join('\n');
}

return baseclass.extend({
	/* bond: { name, role, key: its public key, options: of its section } -> [ { name, text } ]: uci, toml, and for a server that
	 * is to be made, start. */
	texts(bond) {
		const { name, role, key, options } = bond;

		if (role == 'server') {
			const client = { type: 'bond', name: 'bond', options: { role: 'client', server: [ 'SERVER' ], server_key: key, ...alike(options) } };

			return [ { name: 'uci', text: uci([ client ]) }, { name: 'toml', text: toml([ client ]) } ];
		}

		const given = list(options.address), addresses = given.length ? given : [ CLIENT_ADDRESS ];
		const peer = { type: 'bond_peer', name, options: { public_key: key, addresses } };
		const server = { type: 'bond', name: SERVER, options: { role: 'server', address: [ addressOfServer(addresses) ], ...alike(options) } };

		return [ { name: 'uci', text: uci([ peer ]) }, { name: 'toml', text: toml([ peer ]) }, { name: 'start', text: start(toml([ server, peer ])) } ];
	}
});
