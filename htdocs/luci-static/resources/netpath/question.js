// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* A question "where would this connection go?": its fields, what is wrong with them, and its form in an address. Pure. */

const FIELDS = [ 'src', 'dst', 'proto', 'sport', 'dport', 'iface', 'mac', 'dscp' ];
const WITH_PORTS = [ 'tcp', 'udp', 'sctp', 'dccp', 'udplite', '6', '17', '132', '33', '136' ];
const REMEMBERED = 8;
/* RFC 4594, as nftables and iptables spell them. */
const DSCP = { ef: 46, va: 44, le: 1, be: 0 };
for (let level = 0; level < 8; level++)
	DSCP['cs' + level] = level * 8;
for (let level = 1; level < 5; level++)
	for (let drop = 1; drop < 4; drop++)
		DSCP['af' + level + drop] = level * 8 + drop * 2;

/* 4, 6, or null for what is no address. */
function version(text) {
	if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text))
		return text.split('.').every(part => Number(part) < 256 && String(Number(part)) == part) ? 4 : null;
	if (!/^[0-9a-f:]+(\d{1,3}(\.\d{1,3}){3})?$/i.test(text) || !text.includes(':'))
		return null;
	const dotted = text.match(/^(.*:)(\d+(?:\.\d+){3})$/);
	if (dotted && version(dotted[2]) != 4)
		return null;
	const halves = (dotted ? dotted[1] + '0:0' : text).split('::');
	const parts = halves.map(half => half === '' ? [] : half.split(':'));
	const count = parts.flat().length;
	return halves.length <= 2 && parts.flat().every(part => /^[0-9a-f]{1,4}$/i.test(part)) &&
		(halves.length == 2 ? count < 8 : count == 8) ? 6 : null;
}

function whole(text, largest) {
	return /^\d{1,5}$/.test(text) && Number(text) <= largest ? Number(text) : null;
}

return baseclass.extend({
	FIELDS,
	version,

	/* Whether a protocol of this name or number has ports. */
	hasPorts(proto) {
		return WITH_PORTS.includes(String(proto || 'tcp').toLowerCase());
	},

	/* Texts of the fields -> { errors: { field: sentence }, request: what the ubus object wants }. Ports of a protocol
	 * without them are left out. */
	read(given) {
		const text = {}, errors = {}, request = {};
		for (const field of FIELDS)
			text[field] = String(given?.[field] ?? '').trim();
		for (const field of [ 'src', 'dst' ]) {
			if (text[field] == '')
				errors[field] = _('An address is needed here.');
			else if (version(text[field]) == null)
				errors[field] = _('This is no IPv4 or IPv6 address. Names are not looked up.');
			else
				request[field] = text[field];
		}
		if (request.src && request.dst && version(request.src) != version(request.dst))
			errors.dst = _('Source and destination must be of one address family.');
		request.proto = (text.proto || 'tcp').toLowerCase();
		if (!/^[a-z][a-z0-9-]*$|^\d{1,3}$/.test(request.proto) || Number(request.proto) > 255)
			errors.proto = _('A protocol is a name such as tcp, or a number from 0 to 255.');
		for (const field of this.hasPorts(request.proto) ? [ 'sport', 'dport' ] : []) {
			const port = whole(text[field], 65535);
			if (text[field] != '' && port == null)
				errors[field] = _('A port is a number from 0 to 65535.');
			else if (port != null)
				request[field] = port;
		}
		if (text.iface.length > 15 || /[\s/]/.test(text.iface))
			errors.iface = _('This is no name of a network device.');
		else if (text.iface)
			request.iface = text.iface;
		if (text.mac && !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text.mac))
			errors.mac = _('A hardware address looks like 02:00:00:00:00:01.');
		else if (text.mac)
			request.mac = text.mac.toLowerCase();
		const dscp = DSCP[text.dscp.toLowerCase()] ?? whole(text.dscp, 63);
		if (text.dscp && dscp == null)
			errors.dscp = _('DSCP is a number from 0 to 63, or a name such as ef, cs1 or af41.');
		else if (text.dscp)
			request.dscp = dscp;
		return { errors, request };
	},

	/* The field that an error of the router names at its beginning, or null. */
	blamed(error) {
		const first = String(error).split(/[\s:]/)[0];
		return FIELDS.includes(first) ? first : null;
	},

	/* Fields -> "src=192.0.2.7&dst=..."; empty ones are left out. */
	toHash(given) {
		const parameters = new URLSearchParams();
		for (const field of FIELDS)
			if (String(given?.[field] ?? '').trim() != '')
				parameters.set(field, String(given[field]).trim());
		return parameters.toString();
	},

	/* The other way round; with or without #. Null when there is no field in it. */
	fromHash(hash) {
		const parameters = new URLSearchParams(String(hash ?? '').replace(/^#/, ''));
		const found = {};
		for (const field of FIELDS)
			if (parameters.has(field))
				found[field] = parameters.get(field).slice(0, 64);
		return Object.keys(found).length ? found : null;
	},

	/* The list of last questions (newest first, as hashes) with one more. */
	remembered(list, hash) {
		return [ hash, ...(Array.isArray(list) ? list : []).filter(each => typeof each == 'string' && each != hash) ].slice(0, REMEMBERED);
	},

	/* A question on one line. */
	words(given) {
		const end = (address, port) => port ? (version(address) == 6 ? '[' + address + ']:' : address + ':') + port : address;
		const { src, dst, sport, dport, ...rest } = given;
		const others = [ rest.iface, rest.mac, rest.dscp ? 'dscp ' + rest.dscp : '' ].filter(each => each);
		return [ rest.proto || 'tcp', end(src ?? '', sport), '→', end(dst ?? '', dport), ...others ].join(' ');
	}
});
