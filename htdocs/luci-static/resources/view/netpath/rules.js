// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require network';
'require view';
'require netpath.api as api';
'require netpath.criteria as criteria';
'require netpath.fields as fields';
'require netpath.format as format';
'require netpath.parts as parts';
'require netpath.schema as schema';

const SPECIAL = () => ({
	'default': _('Main routing table'), 'unreachable': _('Unreachable'), 'blackhole': _('Blackhole')
});

const ROWS_AT_ONCE = 500;

/* All rows of `rules`, page by page: there may be thousands. */
async function allRules() {
	const first = await api.rules({ limit: ROWS_AT_ONCE });

	while (!first.error && first.rules.length < first.total) {
		const more = await api.rules({ offset: first.rules.length, limit: ROWS_AT_ONCE });

		if (more.error || !more.rules.length)
			break;

		first.rules.push(...more.rules);
	}

	return first;
}

function connections(count) {
	return N_(count, '%d connection', '%d connections').format(count);
}

function matches(sid) {
	const found = criteria.all().map(([ name, title ]) => [ title, fields.read(sid, 'rule', name) ])
		.filter(([ , value ]) => value?.length && value != 'any');

	return found.length ? found.map(([ title, value ]) =>
		E('div', {}, [ E('span', { 'class': 'np-hint' }, [ title, ': ' ]), L.toArray(value).join(', ') ]))
		: E('em', {}, [ _('everything') ]);
}

return view.extend({
	load() {
		return Promise.all([
			api.status(), allRules(), api.policies(), fields.problems(),
			L.resolveDefault(network.getNetworks(), []), L.resolveDefault(network.getDevices(), []),
			L.resolveDefault(network.getHostHints(), null), fields.load()
		]);
	},

	hits(sid) {
		const row = (this.rules.rules ?? []).find(each => each.name == fields.nameOf(sid));

		if (!row)
			return [ E('em', { 'class': 'np-hint' }, [ this.rules.error ? '–'
				: fields.read(sid, 'rule', 'enabled') == '0' ? _('switched off') : _('not applied yet') ]) ];

		return [ connections(row.packets),
			E('div', { 'class': 'np-hint' }, [ format.bytes(row.bytes) ]) ];
	},

	/* The policy, and the uplinks that it uses now. */
	way(sid) {
		const name = fields.read(sid, 'rule', 'policy');

		if (name == null || SPECIAL()[name])
			return [ SPECIAL()[name] ?? '–' ];

		const policy = (this.policies.policies ?? []).find(each => each.name == name);
		/* A rule of one family goes by the uplinks of that family alone. */
		const family = (this.rules.rules ?? []).find(each => each.name == fields.nameOf(sid))?.family;
		const active = [ ...new Set(Object.entries(policy?.active ?? {})
			.filter(([ each ]) => ![ 'ipv4', 'ipv6' ].includes(family) || each == family).flatMap(([ , uplinks ]) => uplinks)) ];

		return [
			fields.link('policies', name, name),
			E('div', { 'class': 'np-hint' }, !policy ? [] : active.length
				? [ '→ ', ...active.flatMap((uplink, i) => [ i ? ', ' : '', fields.link('interfaces', uplink, uplink) ]) ]
				: [ '→ ', SPECIAL()[policy.last_resort] ?? policy.last_resort ])
		];
	},

	notes(problems, sid) {
		return fields.notes(problems, 'rule', fields.nameOf(sid));
	},

	render([ status, rules, policies, problems, networks, devices, hints ]) {
		fields.style();
		Object.assign(this, { status, rules, policies });

		const m = new form.Map(fields.CONFIG, _('Rules'),
			[
				_('The first rule whose criteria all match decides which policy a new connection takes; drag rules to sort them.'),
				_('What no rule matches goes by the main routing table.'),
				_('Notes at rules are about the configuration as it was last applied.')
			].join(' '));
		const s = fields.grid(m, 'rule', { one: _('Rule'), adder: _('Name of the rule'), called: sid => fields.nameOf(sid),
			none: fields.names('policy').length
				? _('No rules yet: everything goes by the main routing table. A rule without criteria takes all.')
				: _('No rules yet. They need policies first.') });

		s.sortable = parts.writable();
		/* Their order has a meaning: no sorting by columns. */
		s.handleSort = () => {};

		const rest = () => this.rules.default ? [ _('Decided by no rule, left to the main routing table: %s, %s.')
			.format(connections(this.rules.default.packets), format.bytes(this.rules.default.bytes)) ] : [];

		fields.column(s, '_criteria', _('Matches'), sid => [ matches(sid), this.notes(problems, sid) ]);
		fields.column(s, '_policy', _('Policy'), sid => fields.place('way', sid, this.way(sid)));
		fields.column(s, '_hits', _('Decided'), sid => fields.place('hits', sid, this.hits(sid)));

		/* What is below the last rule. */
		const add = s.renderSectionAdd;

		s.renderSectionAdd = function(...given) {
			return E([], [ E('p', { 'class': 'np-hint' }, [ fields.place('default', '-', rest()) ]), add.apply(this, given) ]);
		};

		s.tab('general', _('General'));
		s.tab('source', _('Source'));
		s.tab('destination', _('Destination'));
		s.tab('advanced', _('Advanced'));

		fields.add(s, 'rule', 'enabled', _('Enabled'), { tab: 'general', modalonly: null, editable: true });

		const policy = fields.add(s, 'rule', 'policy', _('Policy'), { tab: 'general', widget: form.ListValue });

		for (const name of fields.names('policy'))
			policy.value(name, name);
		for (const name of schema.special_policies)
			policy.value(name, SPECIAL()[name] ?? name);
		policy.titleref = L.url('admin/network/netpath/policies');

		const choices = {
			proto: () => [ 'all', 'tcp', 'udp', 'icmp', 'icmpv6' ].map(name => [ name, name ]),
			src_iface: () => [
				...networks.filter(net => net.getName() != 'loopback').map(net => [ net.getName(), _('%s (network)').format(net.getName()) ]),
				...devices.filter(device => device.getName() != 'lo').map(device => [ device.getName(), device.getName() ])
			],
			src_mac: () => (hints?.getMACHints(false) ?? []).map(([ mac, text ]) => [ mac.toLowerCase(), `${mac} (${text})` ])
		};

		for (const [ name, title, tab ] of criteria.all()) {
			const o = fields.add(s, 'rule', name, title, { tab,
				...(name == 'family' ? { labels: { any: _('Any'), ipv4: 'IPv4', ipv6: 'IPv6' } } : {}) });

			for (const [ value, text ] of new Map(choices[name]?.() ?? []))
				o.value(value, text);
		}

		fields.add(s, 'rule', 'sticky', _('Sticky'), { tab: 'advanced' });
		fields.add(s, 'rule', 'timeout', _('Sticky for'), { tab: 'advanced' }).depends('sticky', '1');
		fields.add(s, 'rule', 'logging', _('Logging'), { tab: 'advanced' });
		fields.rest(s, 'rule', 'advanced');

		return fields.freshPage(m, problems, () => this.status, 5, async () => {
			[ this.status, this.rules, this.policies ] = await Promise.all([ api.status(), allRules(), api.policies() ]);
			fields.live('hits', sid => this.hits(sid));
			fields.live('way', sid => this.way(sid));
			fields.live('default', rest);
		});
	}
});
