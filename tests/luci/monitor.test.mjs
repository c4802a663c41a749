// SPDX-License-Identifier: GPL-2.0-or-later
/* What the page Monitor makes of replies, whatever they are, and its words for times and states. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const readings = load('netpath.readings'), format = load('netpath.format');
const COLUMNS = [ 'time', 'direct_up', 'direct_down', 'proxy_up', 'proxy_down', 'wan_up', 'wan_down' ];
const ODD = [ null, undefined, 5, 'x', [], {}, [ null ], { rows: 5 }, { rows: [ [ 1 ] ] }, { columns: 'time', rows: [ [ 1 ] ] },
	{ columns: COLUMNS, rows: [ null, 'x', [], [ 'now' ], [ NaN ], [ -1 ] ] } ];

function history(...rows) {
	return { columns: COLUMNS, interval: 1, rows };
}

test('history by seconds becomes rows of each way, without a figure where there was none', () => {
	const rows = readings.merge({}, history([ 10, 1, 2, null, null, 5, 6 ], [ 11, 1, 2, 3, 4, 5, 6 ]), 600);
	assert.deepEqual(rows.direct, [ [ 10, 2, 1 ], [ 11, 2, 1 ] ]);
	assert.deepEqual(rows.proxy, [ [ 10, null, null ], [ 11, 4, 3 ] ]);
	assert.deepEqual(rows.wan, [ [ 10, 6, 5 ], [ 11, 6, 5 ] ]);
});

test('columns are found by their names', () => {
	const rows = readings.merge({}, { columns: [ 'wan_down', 'new', 'time' ], interval: 1, rows: [ [ 7, 8, 10 ] ] }, 600);
	assert.deepEqual(rows.wan, [ [ 10, 7, null ] ]);
	assert.deepEqual(rows.direct, [ [ 10, null, null ] ]);
});

test('what comes later is added, what comes again is not doubled, what is old goes', () => {
	let rows = readings.merge({}, history([ 10, 0, 0, 0, 0, 0, 1 ], [ 11, 0, 0, 0, 0, 0, 2 ]), 600);
	rows = readings.merge(rows, history([ 11, 0, 0, 0, 0, 0, 2 ], [ 12, 0, 0, 0, 0, 0, 3 ]), 600);
	assert.deepEqual(rows.wan.map(row => row[readings.DOWN]), [ 1, 2, 3 ]);
	rows = readings.merge(rows, history([ 611, 0, 0, 0, 0, 0, 4 ]), 600);
	assert.deepEqual(rows.wan.map(row => row[0]), [ 11, 12, 611 ]);
});

test('a clock that was put back takes what lay ahead of it away', () => {
	let rows = readings.merge({}, history([ 100, 0, 0, 0, 0, 0, 1 ], [ 5000, 0, 0, 0, 0, 0, 1 ]), 600);
	rows = readings.merge(rows, history([ 101, 0, 0, 0, 0, 0, 2 ]), 600);
	assert.equal(rows.wan.at(-1)[0], 101);
});

test('nonsense is nothing, and what was known stays', () => {
	const known = readings.merge({}, history([ 10, 1, 2, 3, 4, 5, 6 ]), 600);
	for (const odd of ODD) {
		assert.equal(readings.time(odd), null);
		assert.equal(readings.merge(known, odd, 600), known);
		assert.deepEqual(readings.list(odd).filter(each => typeof each != 'object' || each === null), []);
		assert.deepEqual(Object.keys(readings.speeds(odd)), readings.WAYS);
		assert.equal(readings.known(readings.speeds(odd).wan), false);
		assert.equal(typeof readings.text(odd), 'string');
	}
	assert.deepEqual(readings.speeds({ wan_up: '5', wan_down: -1 }).wan, { up: null, down: null });
	assert.deepEqual(readings.speeds({ wan_up: 0, wan_down: Infinity }).wan, { up: 0, down: null });
	assert.deepEqual(readings.list([ 1, null, 'x', [], { a: 1 } ]), [ { a: 1 } ]);
});

test('texts of others are bounded and have no control characters', () => {
	assert.equal(readings.text('a\u0000b\nc\u009b31m '), 'a b c 31m');
	assert.equal(readings.text('x'.repeat(1e6)).length, 401);
	assert.equal(readings.text({ toString: () => 'x' }), '');
});

test('each reply has one state', () => {
	assert.equal(readings.state({ running: true }), 'running');
	assert.equal(readings.state({ running: false, error: 'e', installed: true }), 'stopped');
	assert.equal(readings.state({ running: false, error: 'e' }), 'stopped');
	assert.equal(readings.state({ running: false, error: 'e', installed: false }), 'missing');
	assert.equal(readings.state({ error: 'e', denied: true }), 'denied');
	assert.equal(readings.state({ running: true, error: 'no answer within 15 s' }), 'silent');
	for (const odd of [ null, {}, { running: 'yes' }, [] ])
		assert.equal(readings.state(odd), 'odd');
});

test('times that have passed', () => {
	assert.equal(format.ago(null, 100), 'never');
	assert.equal(format.ago(99.5, 100), 'just now');
	assert.equal(format.ago(130, 100), 'just now');
	assert.equal(format.ago(70, 100), '30 s ago');
	assert.equal(format.ago(1000, 1000 + 185), '3 min ago');
	assert.equal(format.ago(1000, 1000 + 7300), '2 h ago');
	assert.equal(format.ago(1000, 1000 + 3 * 86400 + 5), '3 d ago');
});

test('every state of health has a word, a tone and a sign', () => {
	assert.deepEqual([ 'healthy', 'starting', 'idle', 'failing', 'given up' ].map(status => format.health(status).tone), [ 'good', 'busy', 'off', 'bad', 'bad' ]);
	assert.equal(format.health('x'.repeat(1000)).text.length, 40);
	assert.equal(format.health(undefined).text, 'unknown');
});
