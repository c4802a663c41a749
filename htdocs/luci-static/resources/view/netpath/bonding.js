// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require form';
'require view';
'require netpath.api as api';
'require netpath.fields as fields';
'require netpath.keys as keys';
'require netpath.parts as parts';
'require netpath.paths as paths';
'require netpath.readings as readings';
'require netpath.schema as schema';

const ROLES = () => ({
	client: [ _('Client'), _('This router: it has the uplinks, and a server far away.') ],
	server: [ _('Server'), _('The far end, for clients: a machine with a fast line.') ]
});
const MODES = () => ({
	'aggregate': [ _('Aggregate'), _('The speed of all links together.') ],
	'low-latency': [ _('Low latency'), _('Each packet by the link that is the quickest now.') ],
	'redundant': [ _('Redundant'), _('Each packet by several links: nothing is lost when one fails, and it costs the speed of the others.') ]
});
const FEC = () => ({
	adaptive: [ _('Adaptive'), _('As much as the measured loss needs, none where nothing is lost.') ],
	fixed: [ _('Fixed'), _('Always the same.') ],
	off: [ _('Off'), _('Lost packets are lost.') ]
});

/* Name, title, what it depends on: { option: [ values ] }. */
const CLIENT = { role: [ 'client' ] }, SERVER = { role: [ 'server' ] }, CORRECTING = { fec: [ 'adaptive', 'fixed' ] };
const TABS = () => ({
	general: [ [ 'server', _('Server'), CLIENT ], [ 'server_key', _('Public key of the server'), CLIENT ], [ 'listen', _('Addresses to listen at'), SERVER ],
		[ 'port', _('Port') ], [ 'ports', _('Ports in a row') ], [ 'device', _('Device') ], [ 'address', _('Addresses in the tunnel') ],
		[ 'automatic', _('All uplinks are links'), CLIENT ], [ 'streams', _('Streams of a link'), CLIENT ],
		[ 'masquerade', _('Masquerade') ], [ 'forward', _('Forward'), SERVER ], [ 'max_clients', _('Clients at most'), SERVER ], [ 'loglevel', _('Log level') ] ],
	traffic: [ [ 'mode', _('Mode') ], [ 'copies', _('Copies'), { mode: [ 'redundant' ] } ], [ 'fec', _('Error correction') ],
		[ 'fec_group', _('Packets of a group'), CORRECTING ], [ 'fec_repairs', _('Repairs of a group'), CORRECTING ], [ 'mtu', _('MTU') ],
		[ 'heartbeat', _('Heartbeat') ], [ 'rtt_weight', _('Weight of the round trip') ], [ 'loss_weight', _('Weight of losses') ] ],
	security: [ [ 'private_key_file', _('File of the private key') ], [ 'preshared_key', _('Pre-shared key'), CLIENT ],
		[ 'preshared_key_file', _('File of the pre-shared key'), CLIENT ], [ 'cipher', _('Ciphers') ], [ 'obfuscate', _('Obfuscate') ], [ 'nft_table', _('Table of nftables') ] ]
});
/* The keys' dialog is for it: it stays where it is, and never comes to a form. */
const UNSEEN = [ 'private_key' ];
const LINK = () => [ [ 'bond', _('Bond') ], [ 'interface', _('Interface') ], [ 'source', _('Source address') ], [ 'streams', _('Streams') ], [ 'cap', _('Limit') ] ];
const PEER = () => [ [ 'bond', _('Bond') ], [ 'public_key', _('Public key') ], [ 'addresses', _('Addresses in the tunnel') ], [ 'networks', _('Networks behind it') ],
	[ 'preshared_key', _('Pre-shared key') ], [ 'preshared_key_file', _('File of the pre-shared key') ], [ 'streams', _('Paths at most') ], [ 'rate', _('Limit') ] ];
const RULE = () => [ [ 'mode', _('Mode') ], [ 'copies', _('Copies'), { mode: [ 'redundant' ] } ], [ 'bond', _('Bond') ], [ 'peer', _('Client') ],
	[ 'proto', _('Protocol') ], [ 'src_ip', _('Source address') ], [ 'src_port', _('Source port') ], [ 'dest_ip', _('Destination address') ],
	[ 'dest_port', _('Destination port') ], [ 'dscp', _('DSCP') ] ];

return view.extend({
	load() {
		return Promise.all([ api.status(), fields.problems(), fields.load() ]).then(async ([ status, problems ]) =>
			[ status, problems, await this.ask() ]);
	},

	/* { bond: its reply } of all that are configured. */
	async ask() {
		const names = fields.names('bond'), replies = await Promise.all(names.map(name => api.bond({ name })));
		return Object.fromEntries(names.map((name, at) => [ name, replies[at] ]));
	},

	render([ status, problems, bonds ]) {
		fields.style();
		Object.assign(this, { status, problems, bonds, made: {} });

		const m = new form.Map(fields.CONFIG, _('Bonding'), _('Several uplinks as one encrypted tunnel to a server of yours.'));

		this.addBonds(m);
		this.addLinks(m);
		this.addPeers(m);
		this.addRules(m);

		return fields.freshPage(m, problems, () => this.status, 5, async () => {
			[ this.status, this.bonds ] = await Promise.all([ api.status(), this.ask() ]);
			fields.live('bond', sid => this.state(sid));
			fields.live('bond_peer', sid => this.stateOfPeer(sid));
		});
	},

	off(sid, kind, text) {
		return fields.read(sid, kind, 'enabled') == '0' ? [ E('em', { 'class': 'np-hint' }, [ text ?? _('switched off') ]) ] : null;
	},

	state(sid) {
		const reply = this.bonds[sid], peer = readings.list(reply?.peers)[0];

		if (this.off(sid, 'bond'))
			return this.off(sid, 'bond');
		if (reply?.running !== true)
			return [ E('em', { 'class': 'np-hint' }, [ reply?.installed === false ? _('not installed: package %s').format('netpath-bond') : reply ? _('does not run') : _('not applied yet') ]) ];

		return reply.role == 'server' ? [ _('%d of %d clients').format(readings.list(reply.peers).filter(each => each.state == 'up').length, readings.list(reply.peers).length) ]
			: [ paths.badge(peer ?? {}), ' ', ...paths.problem(peer ?? {}) ];
	},

	stateOfPeer(sid) {
		const bond = fields.read(sid, 'bond_peer', 'bond'), reply = this.bonds[bond], peer = readings.list(reply?.peers).find(each => each.name === sid);
		const off = this.off(sid, 'bond_peer') ?? this.off(bond, 'bond', _('its bond is switched off'));

		return off ?? (reply?.role == 'server' && peer ? [ paths.badge(peer), ' ', ...paths.problem(peer) ]
			: [ E('em', { 'class': 'np-hint' }, [ reply && reply.running !== true ? _('its bond does not run') : _('not applied yet') ]) ]);
	},

	/* What the keys' dialog wants to know of a bond. */
	bond(sid) {
		const options = Object.fromEntries([ 'address', 'port', 'ports', 'obfuscate', 'preshared_key', 'preshared_key_file' ].map(name => [ name, fields.read(sid, 'bond', name) ]));

		return { name: sid, role: fields.read(sid, 'bond', 'role'), key: this.made[sid] ?? (readings.text(this.bonds[sid]?.public_key, 100) || null), options };
	},

	keysButton(sid) {
		return keys.button(() => this.bond(sid), key => this.made[sid] = key);
	},

	addBonds(m) {
		const s = fields.grid(m, 'bond', { title: _('Bonds'), one: _('Bond'), adder: _('Name of the bond'), none: _('No bond yet.'),
			help: _('Tunnels of this machine: as client over its uplinks, or as server for others.') });

		fields.column(s, '_state', _('State'), sid => [ fields.place('bond', sid, this.state(sid)), fields.notes(this.problems, 'bond', sid) ]);
		fields.column(s, '_role', _('Role'), sid => ROLES()[fields.read(sid, 'bond', 'role')]?.[0] ?? '–');
		fields.column(s, '_server', _('Server'), sid => (fields.read(sid, 'bond', 'server') ?? []).join(', ') || '–');
		fields.column(s, '_keys', _('Keys'), sid => this.keysButton(sid));

		for (const [ tab, title ] of [ [ 'general', _('General') ], [ 'traffic', _('Traffic') ], [ 'security', _('Keys and ciphers') ] ])
			s.tab(tab, title);

		fields.add(s, 'bond', 'enabled', _('Enabled'), { tab: 'general', modalonly: null, editable: true });
		fields.add(s, 'bond', 'role', _('Role'), { tab: 'general', widget: form.RichListValue, labels: ROLES() });
		this.addKeys(s);

		for (const [ tab, options ] of Object.entries(TABS()))
			for (const [ name, title, when ] of options)
				this.usual(this.depend(fields.add(s, 'bond', name, title, { tab, ...this.look(name) }), when), name);

		for (const name in schema.sections.bond.options)
			if (!s.getOption(name) && !UNSEEN.includes(name))
				fields.add(s, 'bond', name, name, { tab: 'traffic' });
	},

	look(name) {
		return schema.sections.bond.options[name].kind == 'bool' && schema.sections.bond.options[name].default == null ? { widget: form.ListValue } : { mode: { widget: form.RichListValue, labels: MODES() }, fec: { widget: form.RichListValue, labels: FEC() } }[name];
	},

	depend(field, when) {
		for (const [ option, values ] of Object.entries(when ?? {}))
			for (const value of values)
				field.depends(option, value);

		return field;
	},

	/* A switch whose default is by other options is neither on nor off until it is set. */
	usual(field, name) {
		const { kind, default: usual } = schema.sections.bond.options[name];

		if (kind == 'bool' && usual == null)
			for (const [ value, text ] of [ [ '', _('Usual') ], [ '1', _('Yes') ], [ '0', _('No') ] ])
				field.value(value, text);
	},

	/* A dialog would take the place of this form, and of what is typed into it. */
	addKeys(s) {
		const field = s.taboption('security', form.DummyValue, '_keys_here', _('Keys'));

		field.modalonly = true;
		field.cfgvalue = () => _('They are made and shown by the button in the list of bonds.');
	},

	/* Links and peers name the bond that they belong to: one of those that are there when the form opens. */
	choices(field, role) {
		const load = field.load;

		field.load = function(sid) {
			const bonds = fields.names('bond').filter(name => fields.read(name, 'bond', 'role') == role);

			this.keylist = [];
			this.vallist = [];
			bonds.forEach(bond => this.value(bond, bond));

			return load.call(this, sid);
		};
	},

	addLinks(m) {
		const s = fields.grid(m, 'bond_link', { title: _('Links'), one: _('Link'), adder: _('Name of the link'),
			help: _('Which uplinks a client uses, and how much of them.'),
			none: _('No links are named: a client takes every uplink of NetPath that is online.') });

		fields.column(s, '_of', _('Bond'), sid => fields.read(sid, 'bond_link', 'bond') ?? _('the only client'));
		fields.column(s, '_by', _('By'), sid => [ fields.read(sid, 'bond_link', 'interface') ?? fields.read(sid, 'bond_link', 'source') ?? '–', fields.notes(this.problems, 'bond_link', sid) ]);
		fields.add(s, 'bond_link', 'enabled', _('Enabled'), { modalonly: null, editable: true });

		for (const [ name, title ] of LINK()) {
			const o = fields.add(s, 'bond_link', name, title);

			if (name == 'bond')
				this.choices(o, 'client');
			if (name == 'interface')
				for (const uplink of fields.names('interface'))
					o.value(uplink, uplink);
		}

		fields.rest(s, 'bond_link');
	},

	addPeers(m) {
		const s = fields.grid(m, 'bond_peer', { title: _('Clients of a server'), one: _('Client'), adder: _('Name of the client'),
			help: _('Who may connect to a server of this machine.'), none: _('No clients: only a server has some.') });

		fields.column(s, '_state', _('State'), sid => [ fields.place('bond_peer', sid, this.stateOfPeer(sid)), fields.notes(this.problems, 'bond_peer', sid) ]);
		fields.column(s, '_addresses', _('Addresses'), sid => (fields.read(sid, 'bond_peer', 'addresses') ?? []).join(', ') || '–');
		fields.add(s, 'bond_peer', 'enabled', _('Enabled'), { modalonly: null, editable: true });

		for (const [ name, title ] of PEER()) {
			const o = fields.add(s, 'bond_peer', name, title);

			if (name == 'bond')
				this.choices(o, 'server');
		}

		fields.rest(s, 'bond_peer');
	},

	addRules(m) {
		const s = fields.grid(m, 'bond_rule', { title: _('Traffic that goes otherwise'), one: _('Rule'), adder: _('Name of the rule'),
			help: _('What this end sends another way than the rest of its bond. The first rule whose criteria all match decides; drag rules to sort them.'),
			none: _('No rules: everything goes as its bond does.') });

		s.sortable = parts.writable();
		/* Their order has a meaning: no sorting by columns. */
		s.handleSort = () => {};
		fields.column(s, '_criteria', _('Matches'), sid => [ this.criteria(sid), fields.notes(this.problems, 'bond_rule', sid) ]);
		fields.column(s, '_way', _('Mode'), sid => MODES()[fields.read(sid, 'bond_rule', 'mode')]?.[0] ?? '–');
		fields.add(s, 'bond_rule', 'enabled', _('Enabled'), { modalonly: null, editable: true });

		for (const [ name, title, when ] of RULE()) {
			const o = this.depend(fields.add(s, 'bond_rule', name, title, name == 'mode' ? { widget: form.RichListValue, labels: MODES() } : {}), when);

			for (const choice of { bond: fields.names('bond'), peer: fields.names('bond_peer') }[name] ?? [])
				o.value(choice, choice);
		}

		fields.rest(s, 'bond_rule');
	},

	criteria(sid) {
		const found = RULE().filter(([ name ]) => ![ 'mode', 'copies' ].includes(name)).map(([ name, title ]) => [ title, fields.read(sid, 'bond_rule', name) ])
			.filter(([ , value ]) => value?.length);

		return found.length ? found.map(([ title, value ]) => E('div', {}, [ E('span', { 'class': 'np-hint' }, [ title, ': ' ]), L.toArray(value).join(', ') ]))
			: E('em', {}, [ _('everything') ]);
	}
});
