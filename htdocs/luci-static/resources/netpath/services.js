// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.format as format';
'require netpath.parts as parts';
'require netpath.readings as readings';
'require netpath.sources as sources';

/* What the monitor does with its figures: displays, exporters, notifications, as cards. */

const CHANNELS = () => ({ webhook: _('Webhook'), email: _('E-mail') });

function count(value) {
	return format.count(readings.figure(value));
}

/* "192.0.2.1, ::1 port 9100", an address a word. */
function place(row) {
	const addresses = (Array.isArray(row.addresses) ? row.addresses : []).map(each => readings.text(each, 60)).join(', ');
	return _('%s port %s').format(addresses || format.NOTHING, count(row.port));
}

function clients(row, now) {
	const titles = [ _('Address'), _('Port'), _('Since'), _('Last heard of'), _('Datagrams') ];
	return E('div', { 'class': 'np-widget' }, [ E('table', { 'class': 'table np-clients' }, [
		E('tr', { 'class': 'tr table-titles' }, titles.map(title => E('th', { 'class': 'th' }, [ title ]))),
		...readings.list(row.clients).map(client => E('tr', { 'class': 'tr', 'data-client': readings.text(client.address, 60) }, [
			readings.text(client.address, 60), count(client.port), format.duration(now - readings.figure(client.since)),
			format.ago(readings.figure(client.last), now), count(client.sent)
		].map((text, column) => E('td', { 'class': 'td', 'data-title': titles[column] }, [ text ]))))
	]) ]);
}

/* Service -> what it is called, and lines about it. */
const LINES = {
	server: row => [
		[ _('Listens at'), place(row) ],
		[ _('Displays'), _('%s of at most %s').format(count(readings.list(row.clients).length), count(row.limit)) ],
		[ _('Refused'), readings.figure(row.refused) > 0 ? count(row.refused) : null ]
	],
	metrics: row => [ [ _('Listens at'), place(row) ], [ _('Scrapes'), count(row.scrapes) ] ],
	broker: row => [ [ _('Address'), readings.text(row.target) || null ], [ _('Messages'), count(row.published) ] ],
	notify: row => [
		[ _('Type'), CHANNELS()[row.type] ?? readings.text(row.type, 40) ],
		[ _('Address'), readings.text(row.target) || null ],
		[ _('Sent'), count(row.sent) ],
		[ _('Events that wait'), readings.figure(row.held) > 0 ? count(row.held) : null ],
		[ _('Events dropped'), readings.figure(row.dropped) > 0 ? count(row.dropped) : null ]
	]
};

class Card {
	constructor(kind, name) {
		this.kind = kind;
		this.head = E('div', { 'class': 'np-card-head' });
		this.reason = E('div', {});
		this.lines = E('div', {});
		this.node = E('section', { 'data-service': kind, 'data-name': name, 'aria-label': name }, [ this.head, this.reason, this.lines ]);
	}

	update(title, row, now, stale) {
		this.node.className = `np-card np-edge-${format.health(row.status).tone}${stale ? ' np-stale' : ''}`;
		this.node.dataset.status = readings.text(row.status, 40);
		parts.refresh(this.head, JSON.stringify([ title, row.status ]), () => [ E('h4', {}, [ title ]), sources.badge(row) ]);
		parts.refresh(this.reason, JSON.stringify([ row.status, row.reason ]), () => sources.complaint(row));
		sources.tell(this.lines, [ ...LINES[this.kind](row), ...sources.health(row, now) ]);
	}
}

return baseclass.extend({
	/* The services of a reply: [ [ kind, title, row ] ]. */
	of(reply) {
		const one = (kind, title) => readings.list([ reply[kind] ]).map(row => [ kind, title, row ]);
		return [
			...one('server', _('UDP displays')), ...one('metrics', _('Prometheus')), ...one('broker', _('MQTT')),
			...readings.list(reply.notify).map(row => [ 'notify', readings.text(row.name, 100), row ])
		];
	},

	/* A table of the displays; null when there are none. */
	displays(reply, now) {
		return readings.list(reply.server?.clients).length ? clients(reply.server, now) : null;
	},

	sync(list, cards, services, now, stale) {
		parts.keep(list, cards, services.map(([ kind, title, row ]) => [ `${kind} ${title}`, [ kind, title, row ] ]),
			(_name, [ kind, title ]) => new Card(kind, title), (card, [ , title, row ]) => card.update(title, row, now, stale));
	}
});
