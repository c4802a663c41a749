// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.format as format';
'require netpath.parts as parts';
'require netpath.readings as readings';

/* The monitor's sources as cards, and the health of everything that it tries again and again. */

const TYPES = () => ({ clash: _('Clash or mihomo'), openwrt: _('OpenWrt router'), local: _('This router') });
const NAMES = () => ({ direct: _('Direct'), proxy: _('Proxy'), wan: _('WAN') });

function arrows(speed) {
	return '↓ %s ↑ %s'.format(format.rate(speed.down), format.rate(speed.up));
}

/* "in 4 s" */
function next(row) {
	if (row.status == 'given up')
		return _('none until NetPath is reloaded');
	const seconds = readings.figure(row.next_attempt);
	return seconds == null ? null : _('in %s').format(format.duration(Math.ceil(seconds)));
}

function badge(row) {
	return parts.badge(row.status, format.health(row.status));
}

/* HEALTH as [ name, text, exact moment ]; a text is null where there is nothing to say. */
function health(row, now) {
	const inARow = readings.figure(row.consecutive_failures);
	const past = epoch => [ format.ago(readings.figure(epoch), now), epoch == null ? null : format.moment(epoch, now) ];
	return [
		[ _('Works'), readings.figure(row.uptime) == null ? null : _('%s of the time').format(format.percent(row.uptime)) ],
		[ _('Last success'), ...past(row.last_success) ],
		[ _('Last failure'), ...past(row.last_failure) ],
		[ _('Failures in a row'), inARow > 0 ? format.count(inARow) : null ],
		[ _('Next attempt'), next(row) ]
	];
}

/* Shows such lines in `node`, where nothing moves while they stay the same. */
function tell(node, lines) {
	parts.refresh(node, JSON.stringify(lines), () => [ parts.facts(lines.filter(([ , text ]) => text != null)
		.map(([ name, text, moment ]) => [ name, [ E('span', { 'title': moment ?? null }, [ text ]) ] ])) ]);
}

/* Why it fails, and what to do: the reason has both. */
function complaint(row) {
	const reason = readings.text(row.reason);
	return reason && (row.status == 'failing' || row.status == 'given up')
		? [ E('div', { 'class': 'np-reason', 'data-reason': '' }, [ reason ]) ] : [];
}

class Card {
	constructor(name) {
		this.parts = Object.fromEntries([ 'head', 'figures', 'reason', 'details' ].map(part => [ part, E('div', {}) ]));
		this.parts.head.className = 'np-card-head';
		this.parts.figures.className = 'np-rates';
		this.parts.details.className = 'np-details';
		this.node = E('section', { 'data-source': name, 'aria-label': name, 'tabindex': -1 }, Object.values(this.parts));
	}

	update(source, now, stale) {
		const speeds = readings.speeds(stale ? null : source.speeds), { head, figures, reason, details } = this.parts;
		const ways = readings.WAYS.filter(way => source.type == 'clash' ? way != 'wan' : way == 'wan' || readings.known(speeds[way]));
		this.node.className = `np-card np-edge-${format.health(source.status).tone}${stale ? ' np-stale' : ''}`;
		this.node.dataset.status = readings.text(source.status, 40);
		parts.refresh(head, JSON.stringify([ source.name, source.status ]), () =>
			[ E('h4', {}, [ readings.text(source.name, 100) ]), badge(source) ]);
		parts.refresh(figures, JSON.stringify([ ways, speeds ]), () => ways.flatMap(way =>
			[ E('span', {}, [ NAMES()[way] ]), E('b', { 'data-figure': way }, [ arrows(speeds[way]) ]) ]));
		parts.refresh(reason, JSON.stringify([ source.status, source.reason ]), () => complaint(source));
		tell(details, [
			...health(source, now),
			[ _('Type'), TYPES()[source.type] ?? readings.text(source.type, 40) ],
			[ _('Address'), readings.text(source.target) || null ],
			[ _('Connections'), readings.figure(source.connections) == null ? null : format.count(source.connections) ],
			...Object.entries(source.interfaces ?? {}).map(([ name, speed ]) => [ readings.text(name, 40),
				arrows({ up: readings.figure(speed?.up), down: readings.figure(speed?.down) }) ])
		]);
	}
}

return baseclass.extend({
	NAMES, badge, health, complaint, tell,

	sync(list, cards, sources, now, stale) {
		parts.keep(list, cards, sources.map(source => [ readings.text(source.name), source ]), name => new Card(name),
			(card, source) => card.update(source, now, stale));
	}
});
