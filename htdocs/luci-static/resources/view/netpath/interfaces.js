// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require network';
'require tools.widgets as widgets';
'require uci';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.format as format';
'require netpath.members as members';
'require netpath.parts as parts';
'require netpath.schema as schema';
'require netpath.valid as valid';

const METHODS = () => ({
	'ping': [ _('Ping'), _('ICMP echo. Alive is a reply.') ],
	'httping': [ _('HTTP or HTTPS'), _('A HEAD request. Alive is a status below 400, below 500 for a bare host.') ],
	'dns': [ _('DNS query'), _('A question over UDP. Alive is any answer but SERVFAIL and REFUSED.') ],
	'arping': [ _('ARP or neighbour solicitation'), _('On the link, without targets to the gateway. Alive is a reply.') ],
	'tcp': [ _('TCP connection'), _('Alive is accepted or refused: both came from there.') ],
	'none': [ _('None'), _('Nothing is sent. Alive is a link that is up.') ]
});

const QUALITY = () => [
	[ 'failure_latency', _('Latency that fails') ], [ 'recovery_latency', _('Latency to recover') ],
	[ 'failure_loss', _('Loss that fails') ], [ 'recovery_loss', _('Loss to recover') ],
	[ 'failure_jitter', _('Jitter that fails') ], [ 'recovery_jitter', _('Jitter to recover') ]
];

const TRANSLATION = () => [
	[ 'nat6', _('Translation') ], [ 'nat6_prefix', _('Prefixes of the provider') ], [ 'nat6_from', _('Prefixes of the LAN') ]
];

function familyOf(sid) {
	return members.familyOf(sid);
}

function deviceOf(sid, status) {
	return fields.read(sid, 'interface', 'ifname') ?? status.interfaces?.[sid]?.device ?? null;
}

/* The sections of the same line for the other family. */
function twins(sid, status) {
	const device = deviceOf(sid, status);

	return fields.names('interface').filter(other => other != sid && device != null
		&& deviceOf(other, status) == device && familyOf(other) != familyOf(sid));
}

return view.extend({
	load() {
		return Promise.all([ api.status(), fields.problems(), L.resolveDefault(network.getNetworks(), []), fields.load() ]);
	},

	/* State, latency and loss of an interface. */
	state(sid) {
		const row = this.status.interfaces?.[sid];

		if (!row)
			return [ E('em', { 'class': 'np-hint' }, [ this.status.error ? _('not tracked: NetPath is stopped') : _('not applied yet') ]) ];

		return [
			parts.badge(row.status), ' ',
			E('span', { 'class': 'np-hint np-whole' }, [ row.latency == null ? '' : _('%s, loss %s')
				.format(format.ms(row.latency), format.percent(row.packetloss)) ]),
			E('div', { 'class': 'np-hint' }, [ row.reason ?? '' ])
		];
	},

	render([ status, problems, networks ]) {
		fields.style();
		this.status = status;

		const m = new form.Map(fields.CONFIG, _('Interfaces'),
			_('Uplinks that NetPath tracks and steers by. Each has the name of a network interface and one address family.') + ' ' +
			_('Addresses and default routes stay with the network configuration.'));
		const s = fields.grid(m, 'interface', { one: _('Interface'), adder: _('Network interface'),
			none: _('No interfaces yet. Add the network interfaces that lead to the internet; each needs a gateway, and different metrics there.'),
			choices: () => Object.fromEntries(networks
				.filter(net => net.getName() != 'loopback' && !fields.names('interface').includes(net.getName()))
				.map(net => [ net.getName(), net.getI18n() ])) });

		/* What is asked by DHCPv6 is an IPv6 uplink. */
		s.handleAdd = function(ev, name) {
			const shown = form.GridSection.prototype.handleAdd;
			const net = networks.find(each => each.getName() == name);
			const render = this.renderMoreOptionsModal;

			this.renderMoreOptionsModal = function(sid, ...given) {
				this.renderMoreOptionsModal = render;

				if (net?.getProtocol() == 'dhcpv6')
					fields.write(sid, 'interface', 'family', 'ipv6');

				return render.call(this, sid, ...given);
			};

			return shown.call(this, ev, name);
		};

		const remove = s.handleRemove;

		/* A member without its interface would be an error, which keeps everything from being loaded. */
		s.handleRemove = function(sid, ev) {
			for (const member of fields.names('member'))
				if (fields.read(member, 'member', 'interface') == sid) {
					for (const policy of members.users(member))
						fields.write(policy, 'policy', 'members',
							fields.read(policy, 'policy', 'members').filter(other => other != member));

					uci.remove(fields.CONFIG, member);
				}

			return remove.call(this, sid, ev);
		};

		fields.column(s, '_state', _('State'), sid => [
			fields.place('state', sid, this.state(sid)), fields.notes(problems, 'interface', sid) ]);
		fields.column(s, '_device', _('Device'), sid => [
			this.status.interfaces?.[sid]?.device ?? fields.read(sid, 'interface', 'ifname') ?? '–', ' ',
			E('span', { 'class': 'np-hint' }, [ format.family(familyOf(sid)) ]) ]);
		fields.column(s, '_tracking', _('Tracking'), sid => {
			const targets = fields.read(sid, 'interface', 'track_targets') ?? [];
			const method = fields.read(sid, 'interface', 'track_method') ?? 'ping';

			return [ METHODS()[method]?.[0] ?? method, E('div', { 'class': 'np-hint' }, [ targets.join(', ') ]) ];
		});
		fields.column(s, '_policies', _('Policies'), sid => {
			const used = [ ...new Set(fields.names('member').filter(member => fields.read(member, 'member', 'interface') == sid)
				.flatMap(member => members.users(member))) ];

			return used.length ? used.flatMap((policy, i) => [ i ? ', ' : '', fields.link('policies', policy, policy) ])
				: E('em', { 'class': 'np-hint' }, [ _('none') ]);
		});

		s.tab('general', _('General'));
		s.tab('tracking', _('Tracking'), _('How NetPath finds out whether the uplink works.'));
		s.tab('quality', _('Quality'), _('With this an uplink also fails by being bad, and must be good again before it is used.'));
		s.tab('advanced', _('Advanced'));
		s.tab('ipv6', _('IPv6'));

		const field = (tab, name, title, given) => fields.add(s, 'interface', name, title, { tab, ...given });
		const enabled = field('general', 'enabled', _('Enabled'), { modalonly: null, editable: true, rmempty: false, explicit: true });

		if (valid.speaksMwan3(uci.sections(fields.CONFIG)))
			enabled.default = '0';

		field('general', 'ifname', _('Device'), { widget: widgets.DeviceSelect, noaliases: true });
		field('general', 'family', _('Address family'), { labels: { ipv4: 'IPv4', ipv6: 'IPv6' } });
		field('general', 'metered', _('Metered'));
		field('general', 'dns', _('DNS servers'));

		field('tracking', 'track_method', _('Method'), { widget: form.RichListValue, labels: METHODS() });
		const tracked = (name, title, given) => {
			const o = field('tracking', name, title, given);

			o.depends({ 'track_method': 'none', '!reverse': true });

			return o;
		};
		const only = (name, title, method) => field('tracking', name, title).depends('track_method', method);

		tracked('track_targets', _('Targets'));
		only('dns_query', _('Name to ask for'), 'dns');
		only('tcp_port', _('Port'), 'tcp');
		only('httping_ssl', _('HTTPS'), 'httping');
		tracked('reliability', _('Targets that must answer'));
		tracked('interval', _('Interval'));
		tracked('timeout', _('Time limit'));
		tracked('down', _('Failed rounds until offline'));
		tracked('up', _('Good rounds until online'));
		tracked('failure_interval', _('Interval while failing'));
		tracked('recovery_interval', _('Interval while recovering'));
		tracked('keep_failure_interval', _('Keep the failure interval'));
		tracked('stable_time', _('Stable time'));

		field('quality', 'check_quality', _('Check quality'));
		for (const [ name, title ] of QUALITY())
			field('quality', name, title).depends('check_quality', '1');

		field('advanced', 'gateway', _('Gateway'));
		field('advanced', 'initial_state', _('Initial state'), { labels: { online: _('Online'), offline: _('Offline') } });
		field('advanced', 'flush_conntrack', _('Delete connections at'), { create: false });
		for (const [ name, title ] of [ [ 'count', _('Probes a round') ], [ 'size', _('Ping size') ], [ 'max_ttl', _('Ping TTL') ] ]) {
			const o = field('advanced', name, title);

			if (name != 'count')
				o.depends('track_method', 'ping');
		}

		const o = s.taboption('ipv6', form.DummyValue, '_twins', _('The other family'),
			_('A line with IPv4 and IPv6 has two interfaces on one device, each tracked by itself.') + ' ' +
			_('A family without any interface goes its way by the main routing table.'));

		o.modalonly = true;
		o.renderWidget = sid => E('div', {}, twins(sid, this.status).length
			? twins(sid, this.status).flatMap(other => [ fields.link('interfaces', other, other), ' ', format.family(familyOf(other)), ' ',
				...this.state(other) ])
			: [ E('em', {}, [ _('There is no interface of the other family on this device.') ]), ' ',
				_('To have one, add an interface with the name of its network interface.') ]);

		const here = ([ name ]) => name in schema.sections.interface.options;

		for (const [ name, title ] of TRANSLATION().filter(here))
			field('ipv6', name, title).depends('family', 'ipv6');

		fields.rest(s, 'interface', name => name.includes('6') ? 'ipv6' : 'advanced');

		return fields.freshPage(m, problems, () => this.status, 3, async () => {
			this.status = await api.status();
			fields.live('state', sid => this.state(sid));
		});
	}
});
