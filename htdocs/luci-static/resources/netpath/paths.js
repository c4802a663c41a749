// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.bonds as bonds';
'require netpath.format as format';
'require netpath.parts as parts';
'require netpath.readings as readings';

/* A bond's paths as cards, its shares as a bar, a server's clients as a table. */

function colour(path) {
	return path.colour % bonds.COLOURS;
}

function badge(row) {
	return parts.badge(readings.text(row.state, 40), format.link(row.state));
}

function percent(value) {
	return format.percent(readings.figure(value));
}

function rate(value) {
	return format.rate(readings.figure(value));
}

/* A size to the byte; empty when it is not known. */
function octets(value) {
	const count = readings.figure(value);
	return count == null ? '' : `${format.count(count)} ${_('B')}`;
}

/* Bytes in one word. */
function amount(value) {
	return format.bytes(readings.figure(value)).replaceAll(' ', '\u00a0');
}

function problem(row) {
	const text = readings.text(row.problem);
	return text ? [ E('div', { 'class': 'np-reason', 'data-reason': '' }, [ text ]) ] : [];
}

function addresses(row) {
	return (Array.isArray(row?.addresses) ? row.addresses : []).map(each => readings.text(each, 60)).join(', ');
}

/* Lines [ name, text ], where nothing moves while they stay the same. */
function tell(node, lines) {
	parts.refresh(node, JSON.stringify(lines), () => [ parts.facts(lines.filter(([ , text ]) => text)) ]);
}

class Path {
	constructor(path) {
		this.parts = Object.fromEntries([ 'head', 'share', 'figures', 'details' ].map(part => [ part, E('div', {}) ]));
		this.fill = E('span', { 'class': `np-b${colour(path)}` });
		this.percent = E('b', { 'data-share': '' });
		this.parts.head.className = 'np-card-head';
		this.parts.share.className = 'np-share-line';
		this.parts.share.append(E('div', { 'class': 'np-bar', 'role': 'presentation' }, [ this.fill ]), this.percent);
		this.parts.figures.className = 'np-figures';
		this.parts.details.className = 'np-details';
		this.node = E('section', { 'data-path': path.label, 'tabindex': -1 }, Object.values(this.parts));
	}

	update(path, now, stale) {
		const { head, figures, details } = this.parts, share = stale ? null : bonds.share(path);
		this.node.className = `np-card np-edge-${format.link(path.state).tone}${stale ? ' np-stale' : ''}`;
		this.node.dataset.state = readings.text(path.state, 40);
		this.node.dataset.path = path.label;
		this.node.setAttribute('aria-label', path.label);
		parts.refresh(head, JSON.stringify([ path.label, path.state ]), () => [
			E('h4', {}, [ E('span', { 'class': `np-dot np-b${colour(path)}` }), path.label ]), badge(path) ]);
		this.fill.style.width = `${share ?? 0}%`;
		this.percent.textContent = _('%s of what is sent').format(format.percent(share));
		const shown = stale ? {} : path;
		const lines = [ [ _('Round trip'), format.ms(readings.figure(shown.rtt)), 'rtt' ],
			[ _('Loss, sending'), percent(shown.loss_out), 'loss_out' ], [ _('Loss, receiving'), percent(shown.loss_in), 'loss_in' ],
			[ _('Queue'), format.ms(readings.figure(shown.queue)), 'queue' ], [ _('Sending'), rate(shown.tx_rate), 'tx' ], [ _('Receiving'), rate(shown.rx_rate), 'rx' ] ];
		parts.refresh(figures, JSON.stringify(lines), () => lines.map(([ name, text, key ]) =>
			E('div', {}, [ E('span', {}, [ name ]), E('b', { 'data-figure': key }, [ text ]) ])));
		const since = readings.figure(path.since), variance = readings.figure(path.variance);
		tell(details, [
			[ _('In this state'), since == null ? '' : _('for %s').format(format.duration(Math.max(0, now - since))) ],
			[ _('May send'), rate(path.rate) ],
			[ _('Capacity'), readings.figure(path.capacity) == null ? _('not measured yet') : rate(path.capacity) ],
			[ _('Round trip varies by'), variance == null ? '' : format.ms(variance) ],
			[ _('Largest datagram'), octets(path.mtu) ],
			[ _('Device'), readings.text(path.device, 60) ],
			[ _('Address'), readings.text(path.address, 80) ]
		]);
	}
}

const TITLES = () => [ _('Client'), _('State'), _('Paths'), _('Round trip'), _('Loss, sending'), _('Loss, receiving'), _('Sending'), _('Receiving'), _('In all'), _('Addresses') ];

class Client {
	constructor(key, choose) {
		this.name = E('a', { 'href': '#', 'data-choose': key, 'click': event => choose(event, key) });
		this.state = E('div', {});
		this.cells = TITLES().map(title => E('td', { 'class': 'td', 'data-title': title }));
		this.cells[0].append(this.name);
		this.cells[1].append(this.state);
		this.node = E('tr', { 'class': 'tr', 'data-client': key }, this.cells);
	}

	update(peer, chosen, now) {
		const all = bonds.summary(peer), since = readings.figure(peer.since);
		this.node.dataset.state = readings.text(peer.state, 40);
		this.node.classList.toggle('np-chosen', peer.key === chosen);
		this.name.setAttribute('aria-current', peer.key === chosen);
		this.name.textContent = peer.name;
		const lasting = since == null ? '' : format.duration(Math.max(0, now - since));
		parts.refresh(this.state, JSON.stringify([ peer.state, peer.problem, lasting ]), () =>
			[ badge(peer), ' ', E('span', { 'class': 'np-hint' }, [ lasting ]), ...problem(peer) ]);
		const texts = [ _('%d of %d').format(all.up, all.all), format.ms(all.rtt), format.percent(all.loss_out), format.percent(all.loss_in),
			format.rate(all.tx_rate), format.rate(all.rx_rate),
			`↑\u00a0${amount(peer.tx_bytes)} ↓\u00a0${amount(peer.rx_bytes)}`,
			addresses(peer) || format.NOTHING ];
		texts.forEach((text, at) => {
			if (this.cells[at + 2].textContent !== text)
				this.cells[at + 2].textContent = text;
		});
	}
}

return baseclass.extend({
	addresses, badge, octets, problem, tell, rate,

	sync(list, cards, rows, now, stale) {
		parts.keep(list, cards, rows.map(path => [ path.key, path ]), (_key, path) => new Path(path), (card, path) => card.update(path, now, stale));
	},

	/* Who sends how much, as one bar. */
	shares(rows) {
		const sending = rows.filter(path => bonds.share(path) > 0);
		return E('div', { 'class': 'np-bar np-bar-all', 'role': 'img', 'aria-label': _('Shares of what is sent: %s')
			.format(sending.map(path => `${path.label} ${percent(path.share)}`).join(', ') || format.NOTHING) },
		sending.map(path => E('span', { 'class': `np-b${colour(path)}`, 'style': `width:${bonds.share(path)}%`,
			'title': `${path.label}: ${percent(path.share)}` })));
	},

	/* Figures of a peer that tell how much was mended, and what could not be. */
	counters(peer) {
		const names = { repairs_sent: [ _('Repairs sent'), _('datagrams of error correction') ], recovered: [ _('Recovered'), _('mended by repairs, without a delay') ],
			sent_again: [ _('Sent again'), _('as nothing else would have helped') ], given_up: [ _('Given up'), _('never came, or too late') ],
			dropped: [ _('Dropped'), _('before sending, as more came than goes') ], headless: [ _('Without a head'), _('parts of packets that were lost') ],
			faulty: [ _('Faulty'), _('against the protocol: the other end errs') ] };
		return bonds.COUNTERS.map(name => E('div', { 'class': 'np-tile np-tile-small', 'data-counter': name }, [
			E('div', {}, [ E('strong', {}, [ names[name][0] ]) ]), E('div', { 'class': 'np-count' }, [ format.count(readings.figure(peer?.[name])) ]),
			E('div', { 'class': 'np-hint' }, [ names[name][1] ]) ]));
	},

	/* Makes the table of a server's clients: { node, update(peers, chosen, now) }. `choose` is called with the key of one. */
	clients(choose) {
		const body = E('tbody', {}), kept = new Map();
		const node = E('div', { 'class': 'np-widget' }, [ E('table', { 'class': 'table np-clients np-bond-clients' }, [
			E('thead', {}, [ E('tr', { 'class': 'tr table-titles' }, TITLES().map(title => E('th', { 'class': 'th' }, [ title ]))) ]), body
		]) ]);
		return { node, update: (peers, chosen, now) => parts.keep(body, kept, peers.map(peer => [ peer.key, peer ]), key => new Client(key, choose),
			(row, peer) => row.update(peer, chosen, now)) };
	}
});
