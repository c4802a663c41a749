// SPDX-License-Identifier: GPL-2.0-or-later
/* What the page Bonding makes of replies, whatever they are, and the text that it gives for the other end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

String.prototype.format ??= function(...values) {
	return this.replace(/%[sdh]/g, () => values.shift());
};

const bonds = load('netpath.bonds'), setup = load('netpath.setup'), format = load('netpath.format');
const ODD = [ null, undefined, 5, 'x', [], {}, [ null ], { peers: 5 }, { peers: [ 7, null, [], { paths: 'x' }, { paths: [ 5, {}, { link: { a: 1 }, share: 'all' } ] } ] } ];
const KEY = 'q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=';

function paths(...rows) {
	return bonds.paths({ paths: rows });
}

test('nonsense is nothing', () => {
	for (const odd of ODD) {
		for (const peer of bonds.peers(odd)) {
			assert.equal(typeof peer.key, 'string');
			for (const path of bonds.paths(peer)) {
				assert.match(path.label, /^\?/);
				assert.equal(bonds.share(path), 0);
			}
			assert.deepEqual([ bonds.summary(peer).up, bonds.summary(peer).rtt ], [ 0, null ]);
		}
		assert.deepEqual(bonds.names(odd, odd), []);
		assert.equal(bonds.time(odd, 7), 7);
	}
	assert.equal(bonds.share({ share: 1e9 }), 100);
	assert.equal(bonds.share({ share: -5 }), 0);
});

test('a path is called by its link, with a number only where the link has several', () => {
	assert.deepEqual(paths({ link: 'wan' }, { link: 'lte' }, { link: 'wan' }).map(path => path.label), [ 'wan #1', 'lte', 'wan #2' ]);
	assert.deepEqual(paths({ link: null, device: null, address: '192.0.2.1:5' }, { device: 'eth1', address: 'x' }).map(path => path.label), [ '192.0.2.1:5', 'eth1' ]);
	assert.equal(new Set(paths({ link: 'a' }, { link: 'a' }, { link: 'a #1' }).map(path => path.key)).size, 3);
});

test('clients of one name are two', () => {
	assert.deepEqual(bonds.peers({ peers: [ { name: 'a' }, { name: 'a' }, { public_key: KEY } ] }).map(peer => peer.key), [ 'a', 'a (2)', KEY ]);
});

test('a graph has a line for each path, and for each link when they are too many', () => {
	const few = paths({ link: 'a', tx_rate: 1 }, { link: 'a', tx_rate: 2 });
	assert.equal(bonds.lines(few).length, 2);
	const many = paths(...Array.from({ length: 12 }, (_each, at) => ({ link: `l${at % 3}`, tx_rate: 1, rx_rate: at ? 2 : null })));
	assert.deepEqual(bonds.lines(many).map(line => [ line.label, line.tx_rate, line.rx_rate ]), [ [ 'l0', 4, 6 ], [ 'l1', 4, 8 ], [ 'l2', 4, 8 ] ]);
	assert.deepEqual([ ...new Set(many.map(path => path.colour)) ], [ 0, 1, 2 ], 'in the colour of its line');
});

test('a client in a line: the best round trip, losses by what is sent', () => {
	const line = bonds.summary({ paths: [ { state: 'up', rtt: 40, loss_out: 10, loss_in: 0, tx_rate: 300, rx_rate: 1 },
		{ state: 'up', rtt: 20, loss_out: 2, loss_in: 0, tx_rate: 100 }, { state: 'down', rtt: 1, loss_out: 100, tx_rate: 0 } ] });
	assert.deepEqual(line, { up: 2, all: 3, rtt: 20, loss_out: 8, loss_in: 0, tx_rate: 400, rx_rate: 1 });
});

test('series grow, are cut, and go with their path', () => {
	const store = new Map();
	for (let now = 0; now < 20; now++)
		bonds.note(store, [ { key: 'a', rx_rate: now, tx_rate: null }, ...(now < 10 ? [ { key: 'b', rx_rate: 1, tx_rate: 1 } ] : []) ], now, 5);
	assert.deepEqual([ ...store.keys() ], [ 'a' ]);
	assert.deepEqual(store.get('a').map(row => row[0]), [ 14, 15, 16, 17, 18, 19 ]);
	assert.deepEqual(store.get('a').at(-1), [ 19, 19, null ]);
	bonds.note(store, [ { key: 'a', rx_rate: 3, tx_rate: 3 } ], 16, 5);
	assert.deepEqual(store.get('a').map(row => row[0]), [ 14, 15, 16 ], 'a clock that was put back');
});

test('bonds of the configuration come first, and those that run all the same', () => {
	const sections = [ { type: 'bond', name: 'b', options: {} }, { type: 'interface', name: 'wan' }, { type: 'bond', name: null } ];
	assert.deepEqual(bonds.names(sections, { bonds: [ 'a', 'b', 5 ] }), [ 'b', 'a' ]);
});

test('each reply has one state', () => {
	assert.equal(bonds.state({ running: false, installed: true }, null), 'none');
	assert.equal(bonds.state({ running: true, bonds: [] }, null), 'none');
	assert.equal(bonds.state({ running: false, installed: false }, null), 'missing');
	assert.equal(bonds.state({ running: false, installed: true }, 'home'), 'stopped');
	assert.equal(bonds.state({ error: 'x', denied: true }, null), 'denied');
	assert.equal(bonds.state({ running: true }, 'home'), 'running');
	assert.equal(bonds.state([], 'home'), 'odd');
});

test('states of links have a word, a tone and a sign', () => {
	assert.deepEqual([ 'up', 'proving', 'connecting', 'down', 'x' ].map(state => format.link(state).tone), [ 'good', 'busy', 'busy', 'bad', 'off' ]);
});

test('text for a server has the public key, what must be alike, and nothing else of the client', () => {
	const options = { address: null, port: '9100', ports: null, obfuscate: '1', preshared_key: 'secret' };
	const [ uci, toml, start ] = setup.texts({ name: 'home', role: 'client', key: KEY, options }).map(each => each.text);
	assert.equal(uci, `config bond_peer 'home'\n\toption public_key '${KEY}'\n\tlist addresses '10.99.0.2/24'\n`);
	assert.equal(toml, `[bond_peers.home]\npublic_key = "${KEY}"\naddresses = ["10.99.0.2/24"]\n`);
	assert.match(start, /\[bonds\.server\]\nrole = "server"\naddress = \["10\.99\.0\.1\/24"\]\nport = 9100\nobfuscate = true\n/);
	assert.ok(start.includes(toml));
	assert.ok(!(uci + toml + start).includes('secret'));
});

test('a new server is in the network of its client', () => {
	const of = address => setup.texts({ name: 'home', role: 'client', key: KEY, options: { address } })[2].text.match(/address = \["([^"]*)"\]/)[1];
	assert.equal(of('192.0.2.130/24'), '192.0.2.1/24');
	assert.equal(of('192.0.2.130/25'), '192.0.2.129/25');
	assert.equal(of('192.0.2.129/25'), '192.0.2.130/25');
	assert.equal(of([ '2001:db8::2/64', '198.51.100.9/20' ]), '198.51.96.1/20');
	assert.equal(of('2001:db8::2/64'), '10.99.0.1/24');
	assert.equal(of('192.0.2.1/32'), '10.99.0.1/24');
});

test('a client says its own address, a server what a client needs', () => {
	const [ uci ] = setup.texts({ name: 'home', role: 'client', key: KEY, options: { address: [ '192.0.2.7/24', '2001:db8::7/64' ] } });
	assert.match(uci.text, /list addresses '192\.0\.2\.7\/24'\n\tlist addresses '2001:db8::7\/64'/);
	const [ client, toml ] = setup.texts({ name: 'vps', role: 'server', key: KEY, options: { ports: '2' } }).map(each => each.text);
	assert.match(client, new RegExp(`option role 'client'\n\tlist server 'SERVER'\n\toption server_key '${KEY.replace('+', '\\+')}'\n\toption ports '2'`));
	assert.match(toml, /ports = 2\n/);
});
