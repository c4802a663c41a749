// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/* Rows of figures over time, and their places on a drawing. Pure.
 *
 * A row is [ time, rx_rate, tx_rate, latency, loss ] as in the reply of `history`: epoch seconds, bytes a second,
 * milliseconds, percent; null is not measured. Rows are in order of time. */

const TIME = 0;
/* Rows further apart than that many intervals are not joined by a line: nobody looked in between. */
const GAP = 3;

return baseclass.extend({
	TIME, RX: 1, TX: 2, LATENCY: 3, LOSS: 4,

	/* The row of one interface from a reply of `metrics`. */
	row(time, metrics) {
		return [ time, metrics.rx_rate, metrics.tx_rate, metrics.latency ?? null, metrics.loss ?? null ];
	},

	/* Two lists of rows as one: of rows less than half an interval apart the one of `newer` stays; rows older than
	 * `seconds` before the last one go. */
	merge(older, newer, interval, seconds) {
		const near = interval / 2;
		const rows = older.slice();
		for (const row of newer) {
			let at = rows.length;
			while (at > 0 && rows[at - 1][TIME] >= row[TIME] + near)
				at--;
			const same = at > 0 && Math.abs(rows[at - 1][TIME] - row[TIME]) < near;
			rows.splice(same ? at - 1 : at, same ? 1 : 0, row);
		}
		const from = rows.length ? rows[rows.length - 1][TIME] - seconds : 0;
		const first = rows.findIndex(row => row[TIME] >= from);
		return first > 0 ? rows.slice(first) : rows;
	},

	/* { name: rows } of interfaces with those of a reply of `history` merged in. Interfaces that the reply has not are
	 * dropped, as they have left the configuration. */
	withHistory(all, reply, seconds) {
		const merged = {};
		for (const [ name, rows ] of Object.entries(reply.interfaces ?? {}))
			merged[name] = this.merge(all[name] ?? [], rows, reply.interval ?? 1, seconds);
		return merged;
	},

	/* The same with a reply of `metrics`. */
	withMetrics(all, reply, interval, seconds) {
		const merged = {};
		for (const [ name, metrics ] of Object.entries(reply.interfaces ?? {}))
			merged[name] = this.merge(all[name] ?? [], [ this.row(reply.time, metrics) ], interval, seconds);
		return merged;
	},

	/* A round figure that is not below `figure`, in steps that people count in. */
	ceiling(figure, least) {
		const wanted = Math.max(figure || 0, least);
		const power = Math.pow(10, Math.floor(Math.log10(wanted)));
		return [ 1, 2, 2.5, 5, 10 ].map(step => step * power).find(step => step >= wanted * 0.9999);
	},

	/* The largest figure of a column since `from`, 0 without any. */
	peak(lists, column, from) {
		let most = 0;
		for (const rows of lists)
			for (let at = rows.length - 1; at >= 0 && rows[at][TIME] >= from; at--)
				if (rows[at][column] > most)
					most = rows[at][column];
		return most;
	},

	/* Seconds to show: from the oldest row on, at least `least`, at most `most`. */
	span(lists, until, least, most) {
		const first = Math.min(...lists.filter(rows => rows.length).map(rows => rows[0][TIME]), until);
		return Math.min(most, Math.max(least, until - first));
	},

	/* Points [ x, y ] of a column in runs without gaps. `x` and `y` turn time and figure into places. */
	runs(rows, column, interval, x, y) {
		const runs = [];
		let last = null;
		for (const row of rows) {
			const figure = row[column];
			if (figure == null) {
				last = null;
				continue;
			}
			if (last == null || row[TIME] - last > interval * GAP)
				runs.push([]);
			runs[runs.length - 1].push([ x(row[TIME]), y(figure) ]);
			last = row[TIME];
		}
		return runs;
	},

	/* The `d` of an SVG path through runs; with `base`, the area between them and that height. */
	path(runs, base) {
		const place = point => `${point[0].toFixed(1)},${point[1].toFixed(1)}`;
		return runs.map(run => {
			const line = `M${run.map(place).join('L')}`;
			if (base == null)
				return run.length > 1 ? line : `${line}h0.1`;
			return `${line}L${place([ run[run.length - 1][0], base ])}L${place([ run[0][0], base ])}Z`;
		}).join('');
	},

	/* The row nearest to a time, at most `within` seconds away; null without one. */
	nearest(rows, time, within) {
		let low = 0, high = rows.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (rows[middle][TIME] < time)
				low = middle + 1;
			else
				high = middle;
		}
		const best = [ rows[low - 1], rows[low] ].filter(row => row)
			.sort((a, b) => Math.abs(a[TIME] - time) - Math.abs(b[TIME] - time))[0];
		return best && Math.abs(best[TIME] - time) <= within ? best : null;
	},

	/* Interfaces of one device have one traffic: { name: number of its device }, in order of names given, and which
	 * interface stands for the device. `rows` are those of `status`. */
	devices(names, rows) {
		const numbers = new Map(), colour = {}, first = new Set();
		for (const name of names) {
			const device = rows[name]?.device ?? name;
			if (!numbers.has(device)) {
				numbers.set(device, numbers.size);
				first.add(name);
			}
			colour[name] = numbers.get(device);
		}
		return { colour, first };
	}
});
