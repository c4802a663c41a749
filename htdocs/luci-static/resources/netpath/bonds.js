// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.readings as readings';
'require netpath.series as series';

/* What a reply of `bond` says (docs/bond.md), made fit for a page. Pure. What is not of the promised kind counts as not
 * said, as in netpath/readings.js: a client's name is what its owner has made of it. */

/* Counters of a peer, in the order in which pages show them. */
const COUNTERS = [ 'repairs_sent', 'recovered', 'sent_again', 'given_up', 'dropped', 'headless', 'faulty' ];

/* Colours of the style sheet, and what a graph has room for. */
const COLOURS = 8;

function figure(value) {
	return readings.figure(value);
}

/* Sum of what is known; null when nothing is. */
function sum(rows, name) {
	const known = rows.map(row => figure(row[name])).filter(value => value != null);
	return known.length ? known.reduce((total, value) => total + value, 0) : null;
}

/* Mean of a column by what each path sends; of those that send nothing, the plain mean. */
function mean(rows, name) {
	const known = rows.filter(row => figure(row[name]) != null);
	const weights = known.map(row => figure(row.tx_rate) ?? 0), all = weights.reduce((total, one) => total + one, 0);
	return known.length ? known.reduce((total, row, at) => total + row[name] * (all ? weights[at] / all : 1 / known.length), 0) : null;
}

return baseclass.extend({
	COLOURS, COUNTERS, sum, mean,

	/* What a page has to say: as readings.state, or none when no bond is configured. `name`: of the bond that was asked for. */
	state(reply, name) {
		const state = readings.state(reply);
		return name == null && [ 'stopped', 'running' ].includes(state) ? 'none' : state;
	},

	/* Names of bonds: those of the configuration, and those that run all the same. */
	names(sections, reply) {
		const configured = readings.list(sections).filter(section => section.type == 'bond' && section.name != null)
			.map(section => section.name);
		const running = Array.isArray(reply?.bonds) ? reply.bonds.filter(name => typeof name == 'string') : [];
		return [ ...new Set([ ...configured, ...running ]) ];
	},

	/* Peers, each with a key of its own. */
	peers(reply) {
		const seen = new Map();
		return readings.list(reply?.peers).map(peer => {
			const name = readings.text(peer.name, 100) || readings.text(peer.public_key, 60);
			const times = seen.get(name) ?? 0;
			seen.set(name, times + 1);
			return { ...peer, name, key: times ? `${name} (${times + 1})` : name };
		});
	},

	/* Paths of a peer, each with a key and a label: its link, with a number where that has several streams. */
	paths(peer) {
		const rows = readings.list(peer?.paths), count = {};
		const link = row => [ row.link, row.device, row.address ].map(each => readings.text(each, 60)).find(each => each);
		for (const row of rows)
			count[link(row)] = (count[link(row)] ?? 0) + 1;
		const seen = {}, links = [ ...new Set(rows.map(link)) ];
		return rows.map((row, at) => {
			const name = link(row) ?? '?';
			seen[name] = (seen[name] ?? 0) + 1;
			return { ...row, key: `${at}`, on: name, colour: rows.length > COLOURS ? links.indexOf(link(row)) : at,
				label: count[link(row)] > 1 ? `${name} #${seen[name]}` : name };
		});
	},

	/* What a graph has a line for: paths, or when they are too many to tell apart, their links. */
	lines(paths) {
		if (paths.length <= COLOURS)
			return paths;
		return [ ...new Set(paths.map(path => path.on)) ].map((on, at) => {
			const streams = paths.filter(path => path.on === on);
			return { key: `link ${on}`, label: on, colour: at, rx_rate: sum(streams, 'rx_rate'), tx_rate: sum(streams, 'tx_rate') };
		});
	},

	/* Shares of paths in percent, as whole bars: what is given, bounded to 0 and 100. */
	share(path) {
		return Math.min(100, figure(path.share) ?? 0);
	},

	/* { up, all } of paths. */
	usable(paths) {
		return { up: paths.filter(path => path.state == 'up').length, all: paths.length };
	},

	/* Paths or peers that do not work. */
	failing(rows) {
		return rows.filter(row => row.state == 'down');
	},

	/* One line of a table about a client: its paths taken together. */
	summary(peer) {
		const paths = this.paths(peer), up = paths.filter(path => path.state == 'up'), rtts = up.map(path => figure(path.rtt)).filter(rtt => rtt != null);
		return {
			...this.usable(paths), rtt: rtts.length ? Math.min(...rtts) : null, loss_out: mean(up, 'loss_out'), loss_in: mean(up, 'loss_in'),
			tx_rate: sum(paths, 'tx_rate'), rx_rate: sum(paths, 'rx_rate')
		};
	},

	/* The router's clock where the reply has it. */
	time(reply, otherwise) {
		return figure(reply?.time) ?? otherwise;
	},

	/* Puts a row [ time, received, sent ] into `store` (a Map) for each of `rows`, and drops what is older than
	 * `seconds`, and who is not there any more. A clock put back takes what lay ahead of it away. */
	note(store, rows, now, seconds) {
		const wanted = new Set(rows.map(row => row.key));
		for (const key of [ ...store.keys() ].filter(each => !wanted.has(each)))
			store.delete(key);
		for (const row of rows) {
			const list = (store.get(row.key) ?? []).filter(each => each[series.TIME] < now && each[series.TIME] >= now - seconds);
			list.push([ now, figure(row.rx_rate), figure(row.tx_rate) ]);
			store.set(row.key, list);
		}
	}
});
