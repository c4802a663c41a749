// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require uci';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.format as format';
'require netpath.readings as readings';
'require netpath.schema as schema';
'require netpath.sources as sources';

const RETRY = () => ({
	fast: [ _('Fast'), _('Given up after 5 failures, 0.1 to 5 seconds apart.') ],
	default: [ _('Default'), _('Given up after 10 failures, 0.5 to 30 seconds apart.') ],
	slow: [ _('Slow'), _('Given up after 15 failures, 1 to 60 seconds apart.') ],
	infinite: [ _('Infinite'), _('Never given up, 0.5 to 30 seconds apart.') ]
});

const TABS = () => ({
	general: [ [ 'enabled', _('Enabled') ], [ 'local', _('This router\'s uplinks are a source') ], [ 'wan', _('Sources of the WAN\'s traffic') ],
		[ 'retry', _('Retry'), { labels: RETRY() } ], [ 'loglevel', _('Log level') ] ],
	udp: [ [ 'listen_port', _('Port') ], [ 'listen_address', _('Addresses') ], [ 'clients', _('Who may register') ],
		[ 'format', _('Format'), { labels: { combined: _('One datagram'), pair: _('A pair of datagrams') } } ], [ 'interval', _('Interval') ],
		[ 'client_timeout', _('Silence until forgotten') ], [ 'max_clients', _('Displays at most') ] ],
	metrics: [ [ 'metrics_port', _('Port') ], [ 'metrics_address', _('Addresses') ] ],
	mqtt: [ [ 'mqtt_host', _('Broker') ], [ 'mqtt_port', _('Port') ], [ 'mqtt_username', _('User name') ], [ 'mqtt_password', _('Password') ],
		[ 'mqtt_tls', _('Encrypted') ], [ 'mqtt_ca', _('Trusted certificates') ], [ 'mqtt_verify', _('Check the certificate') ],
		[ 'mqtt_topic', _('Topic') ], [ 'mqtt_discovery', _('Home Assistant') ], [ 'mqtt_interval', _('Interval') ] ],
	short: [ [ 'clash_url', _('Address of a proxy') ], [ 'luci_url', _('Address of a router') ], [ 'luci_username', _('User name') ],
		[ 'luci_password', _('Password') ] ]
});

const TYPES = () => ({
	clash: [ _('Clash or mihomo'), _('A proxy, by WebSocket: direct and proxied traffic.') ],
	openwrt: [ _('OpenWrt router'), _('Another router, by its ubus or LuCI: traffic of its WAN.') ],
	local: [ _('This router'), _('The uplinks that NetPath tracks.') ]
});

/* Name, title, types that have it; null: all. */
const SOURCE = () => [
	[ 'url', _('Address'), [ 'clash', 'openwrt' ] ], [ 'token', _('Token'), [ 'clash' ] ], [ 'username', _('User name'), [ 'openwrt' ] ],
	[ 'password', _('Password'), [ 'openwrt' ] ], [ 'interface', _('Interfaces'), [ 'openwrt', 'local' ] ]
];
const SOURCE_MORE = () => [
	[ 'interval', _('Interval'), null ], [ 'timeout', _('Time limit'), null ], [ 'verify', _('Check the certificate'), [ 'clash', 'openwrt' ] ],
	[ 'retry', _('Retry'), null ], [ 'retry_attempts', _('Failures until given up'), null ], [ 'retry_first', _('First delay'), null ],
	[ 'retry_max', _('Longest delay'), null ]
];
const CHANNELS = () => ({ webhook: [ _('Webhook'), _('A JSON object by HTTP.') ], email: [ _('E-mail'), _('A mail by SMTP.') ] });
const NOTIFY = () => [
	[ 'url', _('Address'), [ 'webhook' ] ], [ 'format', _('Format'), [ 'webhook' ] ], [ 'token', _('Token'), [ 'webhook' ] ], [ 'server', _('Server'), [ 'email' ] ], [ 'port', _('Port'), [ 'email' ] ],
	[ 'security', _('Encryption'), [ 'email' ] ], [ 'username', _('User name'), null ], [ 'password', _('Password'), null ],
	[ 'from', _('Sender'), [ 'email' ] ], [ 'to', _('Recipients'), [ 'email' ] ], [ 'verify', _('Check the certificate'), null ]
];
const NOTIFY_MORE = () => [
	[ 'limit', _('Messages an hour'), null ], [ 'gather', _('Gather events for'), null ], [ 'timeout', _('Time limit'), null ], [ 'retry', _('Retry'), null ]
];
const SHAPES = () => ({ json: _('JSON with everything'), slack: 'Slack', discord: 'Discord', ntfy: 'ntfy', gotify: 'Gotify' });
const SECURITY = () => ({ starttls: 'STARTTLS', tls: 'TLS', none: _('None') });

function eventName(event) {
	return { open: _('member opened'), closed: _('member closed') }[event] ?? format.state(event).text;
}

return view.extend({
	load() {
		return Promise.all([ api.status(), api.monitor(), fields.problems(), fields.load() ]);
	},

	/* Health of a source or a notification, from the list `list` of the monitor's reply. */
	state(list, kind, sid) {
		if (fields.read(sid, kind, 'enabled') == '0')
			return [ E('em', { 'class': 'np-hint' }, [ _('switched off') ]) ];

		const row = readings.list(this.monitor[list]).find(each => each.name == sid);

		if (!row)
			return [ E('em', { 'class': 'np-hint' }, [ this.monitor.running === true ? _('not applied yet') : _('the monitor does not run') ]) ];

		return [ sources.badge(row), ' ', ...sources.complaint(row) ];
	},

	render([ status, monitor, problems ]) {
		fields.style();
		Object.assign(this, { status, monitor, problems });

		const m = new form.Map(fields.CONFIG, _('Monitor'),
			_('Where traffic figures come from, and who gets them. Nothing here changes how NetPath steers.'));

		this.addSettings(m);
		this.addSources(m);
		this.addNotify(m);

		return fields.freshPage(m, problems, () => this.status, 5, async () => {
			[ this.status, this.monitor ] = await Promise.all([ api.status(), api.monitor() ]);
			for (const [ list, kind ] of [ [ 'sources', 'source' ], [ 'notify', 'notify' ] ])
				fields.live(list, sid => this.state(list, kind, sid));
		});
	},

	addSettings(m) {
		const sid = fields.names('monitor')[0] ?? 'monitor';
		const s = m.section(form.NamedSection, sid, 'monitor');

		/* Without the section there is a button that makes it. */
		s.addremove = uci.get(fields.CONFIG, sid) == null;
		s.tab('general', _('General'));
		s.tab('udp', _('UDP displays'), _('Small displays register here, and get the figures as datagrams.'));
		s.tab('metrics', _('Prometheus'), _('All that NetPath knows, to be scraped from /metrics.'));
		s.tab('mqtt', _('MQTT'), _('States, events and figures, published to a broker.'));
		s.tab('short', _('Short forms'), _('One proxy and one router without sections of their own below.'));

		for (const [ tab, options ] of Object.entries(TABS()))
			for (const [ name, title, given ] of options) {
				const o = fields.add(s, 'monitor', name, title, { tab, ...given,
					...(name == 'enabled' ? { explicit: true, rmempty: false } : {}) });

				if (name == 'wan')
					for (const source of new Set([ ...fields.names('source'), 'local' ]))
						o.value(source, source);
			}

		fields.rest(s, 'monitor', 'general');
	},

	grid(m, kind, given) {
		const s = fields.grid(m, kind, { help: schema.sections[kind].help, ...given });

		fields.column(s, '_state', _('State'), sid => [ fields.place(given.list, sid, this.state(given.list, kind, sid)),
			fields.notes(this.problems, kind, sid) ]);
		fields.column(s, '_type', _('Type'), sid => given.types[fields.read(sid, kind, 'type')]?.[0] ?? '–');
		fields.column(s, '_where', given.whereTitle, sid => given.where(sid) ?? '–');
		s.tab('general', _('General'));
		s.tab('advanced', _('Advanced'));
		fields.add(s, kind, 'enabled', _('Enabled'), { tab: 'general', modalonly: null, editable: true });
		fields.add(s, kind, 'type', _('Type'), { tab: 'general', widget: form.RichListValue, labels: given.types });

		for (const [ tab, options ] of [ [ 'general', given.general ], [ 'advanced', given.advanced ] ])
			for (const [ name, title, types ] of options) {
				const o = fields.add(s, kind, name, title, { tab, labels: given.labels[name] });

				for (const type of types ?? [])
					o.depends('type', type);
				if (name == 'interface')
					for (const uplink of fields.names('interface'))
						o.value(uplink, uplink);
			}

		fields.rest(s, kind, 'advanced');
	},

	addSources(m) {
		this.grid(m, 'source', { list: 'sources', title: _('Sources'), one: _('Source'), adder: _('Name of the source'),
			none: _('No sources yet, beside this router\'s own uplinks.'), types: TYPES(), general: SOURCE(), advanced: SOURCE_MORE(),
			labels: { retry: RETRY() }, whereTitle: _('Address'),
			/* What follows the question mark may be a token. */
			where: sid => fields.read(sid, 'source', 'url')?.split('?')[0] });
	},

	addNotify(m) {
		const events = Object.fromEntries(schema.sections.notify.options.events.choices.map(event => [ event, eventName(event) ]));

		this.grid(m, 'notify', { list: 'notify', title: _('Notifications'), one: _('Notification'), adder: _('Name of the notification'),
			none: _('Nobody is told of changes yet, beside the user script.'), types: CHANNELS(),
			general: [ ...NOTIFY(), [ 'events', _('Events'), null ], [ 'interface', _('Interfaces'), null ] ], advanced: NOTIFY_MORE(),
			labels: { retry: RETRY(), security: SECURITY(), format: SHAPES(), events }, whereTitle: _('Events'),
			where: sid => (fields.read(sid, 'notify', 'events') ?? [ schema.sections.notify.options.events.default ]).join(' ').split(/[\s,]+/)
				.map(eventName).join(', ') });
	}
});
