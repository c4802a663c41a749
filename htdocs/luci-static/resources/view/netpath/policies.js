// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require uci';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.format as format';
'require netpath.members as members';
'require netpath.schema as schema';
'require netpath.shares as shares';

const MODES = () => ({
	'balanced': [ _('Balanced'), _('New connections are spread exactly by weight, without bursts.') ],
	'failover': [ _('Failover'), _('All go to the first member of the list that is online; weights do not count.') ],
	'round-robin': [ _('Round robin'), _('One after another; weights do not count.') ],
	'hash': [ _('By source address'), _('A client stays with one uplink; when that fails only its own clients move, and they come back.') ],
	'weighted': [ _('Weighted random'), _('By chance, with odds by weight: the way of mwan3.') ],
	'random': [ _('Random'), _('By chance; weights do not count.') ]
});

const LAST_RESORTS = () => ({
	'unreachable': [ _('Unreachable'), _('Programs learn at once that there is no way.') ],
	'blackhole': [ _('Blackhole'), _('Silence: programs wait until they give up.') ],
	'default': [ _('Main routing table'), _('As if NetPath were not there.') ]
});

return view.extend({
	load() {
		return Promise.all([ api.status(), api.policies(), fields.problems(), fields.load() ]);
	},

	/* What the tracker knows; without it every uplink counts as online. */
	liveState() {
		const interfaces = this.status.interfaces ?? {};
		const configured = fields.names('interface');
		const running = !this.status.error && Object.keys(interfaces).length > 0;

		return {
			running,
			closed: (this.policies.policies ?? []).flatMap(policy => policy.members)
				.filter(member => member.open === false).map(member => member.name),
			usable: () => running
				? configured.filter(name => [ 'online', 'disconnecting', undefined ].includes(interfaces[name]?.status)) : configured,
			ids: () => Object.fromEntries(configured.map((name, i) => [ name, interfaces[name]?.id ?? 1000 + i ]))
		};
	},

	/* Of a policy as it is in the form's data, saved or not. */
	sharesOf(sid) {
		const live = this.liveState();
		const rows = members.counted((fields.read(sid, 'policy', 'members') ?? []).map(members.row), live);
		const mode = fields.read(sid, 'policy', 'mode') ?? schema.sections.policy.options.mode.default;

		return [ 'ipv4', 'ipv6' ].map(family => [ family, rows.filter(row => members.familyOf(row.interface) == family) ])
			.filter(([ , of ]) => of.length)
			.map(([ family, of ]) => E('div', { 'data-family': family }, [
				E('span', { 'class': 'np-hint' }, [ format.family(family), ' ' ]),
				...members.bar(shares.of(mode, of, live.ids(), live.usable())),
				E('div', { 'class': 'np-hint' }, [ live.running ? '' : _('once every uplink is online') ])
			]));
	},

	/* Those that take nothing now for their hours or quota say so. */
	membersOf(sid) {
		const rows = (this.policies.policies ?? []).find(policy => policy.name == sid)?.members ?? [];

		return (fields.read(sid, 'policy', 'members') ?? []).map(member => {
			const { interface: uplink, metric, weight } = members.row(member);
			const row = rows.find(each => each.name == member);

			return E('div', {}, [ uplink ? fields.link('interfaces', uplink, uplink) : member,
				' ', E('span', { 'class': 'np-hint np-whole' }, [ _('metric %s, weight %s').format(metric ?? 1, weight ?? 1) ]),
				row?.open === false ? E('div', { 'class': 'np-small np-closed-member', 'data-closed': member },
					[ E('strong', {}, [ _('closed') ]), ': ', row.reason || _('by its schedule or quota') ]) : '' ]);
		});
	},

	render([ status, policies, problems ]) {
		fields.style();
		Object.assign(this, { status, policies });

		const m = new form.Map(fields.CONFIG, _('Policies'),
			_('A policy names uplinks and how new connections are spread over them.') + ' ' +
			_('Of its members those with the lowest metric that is online carry the traffic; the others wait.'));
		const s = fields.grid(m, 'policy', { one: _('Policy'), adder: _('Name of the policy'), none: fields.names('interface').length
			? _('No policies yet. Add one, choose its members, and name it in a rule.')
			: _('No policies yet. They need interfaces first.') });

		s.handleRemove = function(sid) {
			const those = fields.read(sid, 'policy', 'members') ?? [];

			uci.remove(fields.CONFIG, sid);
			members.removeUnused(those);

			return this.map.save(null, true);
		};

		fields.column(s, '_mode', _('Mode'), sid => [
			MODES()[fields.read(sid, 'policy', 'mode') ?? 'balanced']?.[0],
			fields.notes(problems, 'policy', sid),
			(fields.read(sid, 'policy', 'members') ?? []).flatMap(member => fields.notes(problems, 'member', member))
		]);
		fields.column(s, '_shares', _('Shares'), sid => fields.place('shares', sid, this.sharesOf(sid)));
		fields.column(s, '_members', _('Members'), sid => fields.place('members', sid, this.membersOf(sid)));
		fields.column(s, '_resort', _('Last resort'), sid =>
			LAST_RESORTS()[fields.read(sid, 'policy', 'last_resort') ?? 'unreachable']?.[0]);

		const preview = function(sid) {
			this.section.getOption('members').refresh(sid);
		};

		fields.add(s, 'policy', 'mode', _('Mode'), { widget: form.RichListValue, labels: MODES(), changed: preview });

		const o = s.option(members.MembersValue, 'members', _('Members'),
			_('In mode failover their order counts.') + ' ' +
			_('Several members of one interface count as one whose weight is their sum, each with its own hours and quota.'));

		o.modalonly = true;
		o.resorts = Object.fromEntries(Object.entries(LAST_RESORTS()).map(([ name, [ label ] ]) => [ name, label ]));
		o.liveState = () => this.liveState();
		fields.add(s, 'policy', 'last_resort', _('Last resort'),
			{ widget: form.RichListValue, labels: LAST_RESORTS(), changed: preview });
		fields.rest(s, 'policy');

		return fields.freshPage(m, problems, () => this.status, 5, async () => {
			[ this.status, this.policies ] = await Promise.all([ api.status(), api.policies() ]);
			fields.live('shares', sid => this.sharesOf(sid));
			fields.live('members', sid => this.membersOf(sid));
		});
	}
});
