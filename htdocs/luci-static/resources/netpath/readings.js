// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.series as series';

/* What a reply of `monitor` says (docs/monitor.md), made fit for a page. Pure.
 *
 * Much of it was said by other machines: what is not of the promised kind counts as not said. */

const WAYS = [ 'direct', 'proxy', 'wan' ];
/* Letters of a text that are shown. */
const LONGEST = 400;

function figure(value) {
	return typeof value == 'number' && isFinite(value) && value >= 0 ? value : null;
}

function rowsOf(history) {
	return Array.isArray(history?.rows) && Array.isArray(history?.columns)
		? history.rows.filter(row => Array.isArray(row) && figure(row[history.columns.indexOf('time')]) != null) : [];
}

return baseclass.extend({
	WAYS,
	/* Columns of this module's rows. */
	DOWN: 1, UP: 2,

	figure,

	/* At most so many letters, without control characters. */
	text(value, most = LONGEST) {
		if (value == null || typeof value == 'object')
			return '';
		// eslint-disable-next-line no-control-regex
		const plain = String(value).replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').trim();
		return plain.length > most ? `${plain.slice(0, most)}…` : plain;
	},

	/* The objects in a list of the reply. */
	list(value) {
		return Array.isArray(value) ? value.filter(each => each !== null && typeof each == 'object' && !Array.isArray(each)) : [];
	},

	/* { way: { up, down } }, bytes a second or null. */
	speeds(given) {
		return Object.fromEntries(WAYS.map(way => [ way, { up: figure(given?.[`${way}_up`]), down: figure(given?.[`${way}_down`]) } ]));
	},

	/* { up, down } has a figure. */
	known(speed) {
		return speed.up != null || speed.down != null;
	},

	/* What a page has to say: running, missing (the package), stopped, denied, silent (nobody can be asked) or odd. */
	state(reply) {
		if (reply?.denied)
			return 'denied';
		if (reply?.running === false)
			return reply.installed === false ? 'missing' : 'stopped';
		if (reply?.error)
			return 'silent';
		return reply?.running === true ? 'running' : 'odd';
	},

	/* The router's clock: time of the newest row; null without one. */
	time(history) {
		const rows = rowsOf(history);
		return rows.length ? rows[rows.length - 1][history.columns.indexOf('time')] : null;
	},

	/* { way: rows [ time, down, up ] } of what was known and `history`, at most `seconds` long. What lies ahead of the
	 * newest row was told by a clock that has been put back since. */
	merge(known, history, seconds) {
		const rows = rowsOf(history), now = this.time(history);
		if (now == null)
			return known;
		const interval = figure(history.interval) || 1;
		return Object.fromEntries(WAYS.map(way => {
			const [ time, down, up ] = [ 'time', `${way}_down`, `${way}_up` ].map(name => history.columns.indexOf(name));
			const newer = rows.map(row => [ row[time], figure(row[down]), figure(row[up]) ]);
			return [ way, series.merge((known[way] ?? []).filter(row => row[series.TIME] < now), newer, interval, seconds) ];
		}));
	},

	/* Sources that do not work: not healthy, and not only starting. */
	failing(sources) {
		return sources.filter(source => source.status == 'failing' || source.status == 'given up');
	}
});
