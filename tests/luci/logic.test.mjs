// SPDX-License-Identifier: GPL-2.0-or-later
/* What the pages reckon, without a browser: figures in words, rows over time, the picture, failures of calls. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const format = load('netpath.format'), series = load('netpath.series');
const rpc = answer => ({ declare: ({ method, params }) => async (...values) =>
	answer(method, Object.fromEntries(params.map((name, at) => [ name, values[at] ]))) });
const withRpc = answer => load('netpath.api', { rpc: rpc(answer) }, { L: { isObject: value => value !== null && typeof value == 'object' } });
const cards = load('netpath.cards', { rpc: rpc(() => ({})) }), ways = load('netpath.ways', { rpc: rpc(() => ({})) });

function member(name, percent, more) {
	return { name: `${name}_m`, interface: name, ipv4: percent, ipv6: 0, status: 'online', open: true, ...more };
}

test('rates are bits a second, in units that fit', () => {
	assert.equal(format.rate(0), '0 bit/s');
	assert.equal(format.rate(125), '1 kbit/s');
	assert.equal(format.rate(1200000), '9.60 Mbit/s');
	assert.equal(format.rate(125e6), '1 Gbit/s');
	assert.equal(format.rate(124999.9), '1 Mbit/s');
	assert.equal(format.rate(null), format.NOTHING);
	assert.equal(format.rate(NaN), format.NOTHING);
});

test('bytes, milliseconds and percent have three digits at most', () => {
	assert.equal(format.bytes(0), '0 B');
	assert.equal(format.bytes(1536), '1.54 kB');
	assert.equal(format.bytes(3e15), '3000 TB');
	assert.equal(format.ms(0.482), '0.48 ms');
	assert.equal(format.ms(99.96), '100 ms');
	assert.equal(format.ms(undefined), format.NOTHING);
	assert.equal(format.percent(100), '100 %');
	assert.equal(format.percent(33.3), '33.3 %');
});

test('durations have their two largest units', () => {
	assert.equal(format.duration(0), '0 s');
	assert.equal(format.duration(59.4), '59 s');
	assert.equal(format.duration(3600), '1 h');
	assert.equal(format.duration(3600 * 3 + 60 * 12 + 5), '3 h 12 min');
	assert.equal(format.duration(86400 * 2 + 59), '2 d');
	assert.equal(format.duration(-5), '0 s');
});

test('every state has a word and a sign, also those of tomorrow', () => {
	const states = [ 'online', 'connecting', 'disconnecting', 'offline', 'disabled', 'asleep' ];
	assert.equal(new Set(states.map(state => format.state(state).text)).size, states.length);
	for (const state of states)
		assert.ok(format.state(state).sign && format.state(state).tone);
	assert.equal(format.state('asleep').text, 'asleep');
});

test('events say what became of whom, and why', () => {
	const event = { kind: 'interface', interface: 'wan', from: 'online', to: 'offline', reason: 'no answer' };
	assert.deepEqual(format.event(event), { tone: 'bad', text: 'wan is offline (was online): no answer' });
	const closed = { kind: 'member', member: 'lte_m2', interface: 'lte', to: 'closed', reason: 'quota' };
	assert.match(format.event(closed).text, /member lte_m2 of lte closed: quota/);
	assert.equal(format.event({ kind: 'config', message: 'loaded' }).text, 'loaded');
});

test('polls and history become one list, each moment once, in order', () => {
	const history = [ [ 10, 1, 1, 5, 0 ], [ 11, 2, 2, 5, 0 ], [ 12, 3, 3, 5, 0 ] ];
	const polled = series.merge(history, [ [ 12.1, 9, 9, 5, 0 ], [ 13, 4, 4, 5, 0 ] ], 1, 600);
	assert.deepEqual(polled.map(row => row[0]), [ 10, 11, 12.1, 13 ]);
	assert.equal(polled[2][series.RX], 9);
	const filled = series.merge([ [ 10, 0, 0, 0, 0 ], [ 20, 0, 0, 0, 0 ] ], history, 1, 600);
	assert.deepEqual(filled.map(row => row[0]), [ 10, 11, 12, 20 ]);
	assert.deepEqual(series.merge(history, [], 1, 600), history);
});

test('rows that are too old go', () => {
	const rows = series.merge([ [ 0, 0, 0, 0, 0 ], [ 50, 0, 0, 0, 0 ] ], [ [ 100, 0, 0, 0, 0 ] ], 1, 60);
	assert.deepEqual(rows.map(row => row[0]), [ 50, 100 ]);
});

test('an interface that has left the configuration leaves the graphs', () => {
	const reply = { time: 9, interfaces: { wan: { rx_rate: 1, tx_rate: 2, latency: null, loss: 100 } } };
	const rows = series.withMetrics({ wan: [ [ 8, 0, 0, 0, 0 ] ], gone: [ [ 8, 0, 0, 0, 0 ] ] }, reply, 1, 600);
	assert.deepEqual(rows, { wan: [ [ 8, 0, 0, 0, 0 ], [ 9, 1, 2, null, 100 ] ] });
});

test('scales end at round figures', () => {
	assert.equal(series.ceiling(0, 10), 10);
	assert.equal(series.ceiling(11, 10), 20);
	assert.equal(series.ceiling(23, 1), 25);
	assert.equal(series.ceiling(100, 1), 100);
	assert.equal(series.ceiling(840000, 1), 1e6);
});

test('a line is broken where nothing was measured', () => {
	const rows = [ [ 1, 5 ], [ 2, 6 ], [ 3, null ], [ 4, 7 ], [ 20, 8 ] ];
	const runs = series.runs(rows, 1, 1, time => time, figure => figure);
	assert.deepEqual(runs, [ [ [ 1, 5 ], [ 2, 6 ] ], [ [ 4, 7 ] ], [ [ 20, 8 ] ] ]);
	assert.equal(series.path(runs), 'M1.0,5.0L2.0,6.0M4.0,7.0h0.1M20.0,8.0h0.1');
	assert.equal(series.path([ [ [ 1, 5 ], [ 2, 6 ] ] ], 9), 'M1.0,5.0L2.0,6.0L2.0,9.0L1.0,9.0Z');
	assert.equal(series.path([]), '');
});

test('the row under the cursor is the nearest, or none', () => {
	const rows = [ [ 10 ], [ 20 ], [ 30 ] ];
	assert.equal(series.nearest(rows, 14, 10)[0], 10);
	assert.equal(series.nearest(rows, 16, 10)[0], 20);
	assert.equal(series.nearest(rows, 99, 10), null);
	assert.equal(series.nearest([], 1, 10), null);
});

test('what is shown grows with the history, up to its end', () => {
	assert.equal(series.span([ [ [ 90 ] ], [] ], 100, 60, 600), 60);
	assert.equal(series.span([ [ [ 0 ], [ 90 ] ] ], 300, 60, 600), 300);
	assert.equal(series.span([ [ [ 0 ] ] ], 9000, 60, 600), 600);
	assert.equal(series.span([], 9000, 60, 600), 60);
});

test('interfaces of one device have one colour, and one traffic', () => {
	const rows = { wan: { device: 'eth1' }, wan_6: { device: 'eth1' }, lte: { device: 'wwan0' }, none: { device: null } };
	const { colour, first } = series.devices(Object.keys(rows), rows);
	assert.deepEqual(colour, { wan: 0, wan_6: 0, lte: 1, none: 2 });
	assert.deepEqual([ ...first ], [ 'wan', 'lte', 'none' ]);
});

test('who is switched off is told what that cuts', () => {
	const both = [ { name: 'all', members: [ member('wan', 60), member('lte', 40) ] } ];
	assert.deepEqual(cards.once(cards.uses('wan', [ both[0], { ...both[0], name: 'other' } ])).map(use => use.policy), [ both[0].name ]);
	assert.match(cards.consequences('wan', both)[0], /60 %.*take them over/);
	const alone = [ { name: 'all', members: [ member('wan', 100), member('lte', 0, { status: 'offline' }), member('dsl', 0, { open: false }) ] } ];
	assert.match(cards.consequences('wan', alone)[0], /will be cut/);
	assert.match(cards.consequences('lte', alone)[0], /No policy sends/);
});

test('the picture has a link for each member, as thick as its share', () => {
	const interfaces = { wan: { status: 'online' }, lte: { status: 'offline' } };
	const policies = [ { name: 'all', members: [ member('wan', 100), member('lte', 0, { open: false }) ] }, { name: 'spare', members: [] } ];
	const drawn = ways.layout(interfaces, policies, [ { policy: 'all' } ], 1000);
	const [ , wan, lte ] = drawn.links;
	assert.deepEqual([ wan.share, wan.idle, lte.share, lte.idle, lte.closed ], [ 1, false, 0, true, true ]);
	assert.deepEqual(drawn.policies.map(policy => policy.idle), [ false, true ]);
	assert.equal(drawn.hidden, 0);
	assert.match(ways.words(drawn), /policy all: 100 % by wan/);
});

test('boxes of the picture stay inside it and apart at any width', () => {
	const interfaces = Object.fromEntries([ 'a', 'b', 'c', 'd' ].map(name => [ name, { status: 'online' } ]));
	const policies = [ 'one', 'two' ].map(name => ({ name, members: Object.keys(interfaces).map(each => member(each, 25)) }));
	for (const width of [ 300, 358, 800, 1180 ]) {
		const { lan, policies: middle, uplinks, height } = ways.layout(interfaces, policies, [], width);
		for (const box of [ lan, ...middle, ...uplinks ])
			assert.ok(box.x >= 0 && box.x + box.width <= width + 0.01 && box.y >= 0 && box.y + box.height <= height, `${box.name} at ${width}`);
		assert.ok(lan.x + lan.width < middle[0].x && middle[0].x + middle[0].width < uplinks[0].x, `columns at ${width}`);
	}
});

test('a picture of very much says what it leaves out', () => {
	const interfaces = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [ `wan${at}`, { status: 'online' } ]));
	const drawn = ways.layout(interfaces, [ { name: 'all', members: [ member('wan59', 100) ] } ], [], 1000);
	assert.equal(drawn.hidden, 60 - drawn.uplinks.length);
	assert.equal(drawn.uplinks[0].name, 'wan59');
});

test('long names are cut to their box', () => {
	assert.equal(ways.fitting('short', 100), 'short');
	assert.equal(ways.fitting('a_very_long_interface_name', 70), 'a_very_lo…');
});

test('a call that fails is a reply that says so, never a rejection', async () => {
	const failing = text => withRpc(() => { throw new Error(text); }).status();
	assert.equal((await failing('RPC call to netpath/status failed with error -32002: Access denied')).denied, true);
	assert.equal((await failing('RPC call to netpath/status failed with error -32000: Object not found')).running, false);
	assert.equal((await failing('RPC call to netpath/status failed with ubus code 6: Permission denied')).denied, true);
	assert.match((await failing('RPC call to netpath/status failed with HTTP error 502: Bad Gateway')).error, /502/);
	assert.match((await withRpc(() => null).metrics()).error, /metrics/);
	assert.match((await withRpc(() => 7).metrics()).error, /metrics/);
});

test('arguments go to ubus by their names', async () => {
	const asked = [];
	await withRpc((method, given) => asked.push([ method, given ]) && {}).history({ since: 5, coarse: true });
	assert.deepEqual(asked, [ [ 'history', { interface: undefined, since: 5, coarse: true, limit: undefined } ] ]);
});
