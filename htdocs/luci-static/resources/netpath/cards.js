// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.format as format';
'require netpath.parts as parts';

/* A card for each interface. */

/* Pure: policies that name the interface, with what goes there now: [{ policy, percent, member }]. */
function uses(name, policies) {
	return policies.flatMap(policy => policy.members.filter(member => member.interface == name)
		.map(member => ({ policy: policy.name, percent: Math.max(member.ipv4 ?? 0, member.ipv6 ?? 0), member })));
}

/* Pure: those uses, each member once: one of several policies is one all the same. */
function once(used) {
	return used.filter((use, at) => used.findIndex(each => each.member.name == use.member.name) == at);
}

/* Pure: what a user has to know before the interface is switched off: [ sentence ]. */
function consequences(name, policies) {
	const taken = uses(name, policies).filter(use => use.percent > 0);
	if (!taken.length)
		return [ _('No policy sends new connections by %s at the moment.').format(name) ];
	return taken.map(use => {
		const policy = policies.find(each => each.name == use.policy);
		const others = policy.members.some(each => each.interface != name && each.open !== false &&
			(each.status == 'online' || each.status == 'disconnecting'));
		return others
			? _('Policy %s sends %s of its new connections by %s: its other members take them over.')
				.format(use.policy, format.percent(use.percent), name)
			: _('Policy %s has no other usable member: its traffic will be cut, or go where its last resort says.').format(use.policy);
	});
}

function closedMember(member) {
	const until = member.until ? ' ' + _('Until %s.').format(format.moment(member.until)) : '';
	return E('li', { 'class': 'np-closed-member' }, [
		E('strong', {}, [ _('closed') ]), ' ', member.name, ': ', member.reason || _('by its schedule or quota'), '. ', until
	]);
}

function quota(member) {
	return _('%s of %s used').format(format.bytes(member.quota.used), format.bytes(member.quota.limit));
}

function targets(row) {
	return (row.track_ip ?? []).map(target => {
		const sign = target.status == 'up' ? '✔' : target.status == 'down' ? '✘' : '?';
		return E('span', { 'class': 'np-target np-target-' + target.status,
			'title': _('%s: latency %s, loss %s').format(target.ip, format.ms(target.latency), format.percent(target.packetloss)) },
		[ sign, ' ', target.ip, ' ' ]);
	});
}

const FIGURES = [
	[ 'latency', () => _('Latency'), metrics => format.ms(metrics.latency) ],
	[ 'jitter', () => _('Jitter'), metrics => format.ms(metrics.jitter) ],
	[ 'loss', () => _('Loss'), metrics => format.percent(metrics.loss) ],
	[ 'down', () => _('Download'), metrics => format.rate(metrics.rx_rate) ],
	[ 'up', () => _('Upload'), metrics => format.rate(metrics.tx_rate) ],
	[ 'connections', () => _('Connections'), metrics => format.count(metrics.connections) ]
];

const Card = baseclass.extend({
	/* act(name, order): called with 'enable' or 'disable' when the user wants that. */
	__init__(name, act) {
		this.name = name;
		this.act = act;
		this.badge = E('span', {});
		this.since = E('div', { 'class': 'np-since' });
		this.more = E('div', {});
		this.actions = E('div', { 'class': 'np-actions' });
		this.figures = {};
		const figures = FIGURES.map(([ key, label ]) => {
			this.figures[key] = E('b', { 'data-figure': key }, [ format.NOTHING ]);
			return E('div', {}, [ E('span', {}, [ label() ]), this.figures[key] ]);
		});
		this.node = E('section', { 'class': 'np-card', 'data-interface': name, 'aria-label': name }, [
			E('div', { 'class': 'np-card-head' }, [ E('h4', {}, [ name ]), this.badge ]),
			this.since, E('div', { 'class': 'np-figures' }, figures), this.more, this.actions
		]);
	},

	/* row: of `status`; metrics: of `metrics`, or undefined; policies: those of `policies`; now: epoch of the router. */
	update(row, metrics, policies, now, stale) {
		const state = format.state(row.status);
		this.node.className = `np-card np-edge-${state.tone}${stale ? ' np-stale' : ''}`;
		this.node.dataset.state = row.status;
		parts.refresh(this.badge, row.status, () => parts.badge(row.status));
		const since = _('since %s (%s)').format(format.moment(row.since, now), format.duration(now - row.since));
		this.since.textContent = row.reason ? '%s · %s'.format(since, row.reason) : since;
		for (const [ key, , show ] of FIGURES)
			this.figures[key].textContent = metrics && !stale ? show(metrics) : format.NOTHING;
		const used = uses(this.name, policies);
		parts.refresh(this.more, JSON.stringify([ used, row.device, row.gateway, row.addresses, row.track_ip, row.family ]),
			() => this.details(row, used));
		parts.refresh(this.actions, JSON.stringify([ row.status == 'disabled', stale, parts.writable() ]), () => this.buttons(row, stale));
	},

	details(row, used) {
		const members = once(used), closed = members.filter(use => use.member.open === false);
		return [
			parts.facts([
				[ _('Policies'), used.map(use => E('span', { 'class': 'np-use' }, [
					use.policy, ' ', E('b', {}, [ use.member.open === false ? _('closed') : format.percent(use.percent) ]), ' ' ])) ],
				[ _('Family'), format.family(row.family) ],
				[ _('Device'), row.device ?? _('none yet') ],
				[ _('Gateway'), row.gateway ],
				[ _('Addresses'), (row.addresses ?? []).join(', ') ],
				[ _('Targets'), targets(row) ],
				[ _('Quota'), members.filter(use => use.member.quota).map(use => '%s: %s'.format(use.member.name, quota(use.member))).join(', ') ]
			]),
			closed.length ? E('ul', { 'class': 'np-notes' }, closed.map(use => closedMember(use.member))) : E([])
		];
	},

	buttons(row, stale) {
		if (!parts.writable())
			return [ E('span', { 'class': 'np-hint' }, [ _('read-only') ]) ];
		const off = row.status == 'disabled';
		return [ E('button', {
			'type': 'button', 'class': 'btn cbi-button ' + (off ? 'cbi-button-positive' : 'cbi-button-negative'),
			'data-order': off ? 'enable' : 'disable', 'disabled': stale ? '' : null,
			'title': off ? _('Track %s again, and use it when it works').format(this.name) : _('Take %s out of use').format(this.name),
			'click': () => this.act(this.name, off ? 'enable' : 'disable')
		}, [ off ? _('Switch on') : _('Switch off') ]) ];
	}
});

return baseclass.extend({
	create: (name, act) => new Card(name, act),
	uses,
	once,
	consequences,

	/* Makes the children of `list` the cards of these interfaces, in the order of the reply; `cards` is a Map that keeps them. */
	sync(list, cards, interfaces, act) {
		const names = Object.keys(interfaces);
		for (const [ name, card ] of cards)
			if (!(name in interfaces)) {
				card.node.remove();
				cards.delete(name);
			}
		names.forEach((name, at) => {
			if (!cards.has(name))
				cards.set(name, this.create(name, act));
			const node = cards.get(name).node;
			if (list.children[at] !== node)
				list.insertBefore(node, list.children[at] ?? null);
		});
	}
});
