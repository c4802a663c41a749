// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require poll';
'require view';
'require netpath.api as api';
'require netpath.bonds as bonds';
'require netpath.format as format';
'require netpath.keys as keys';
'require netpath.live as live';
'require netpath.parts as parts';
'require netpath.paths as paths';
'require netpath.readings as readings';
'require netpath.series as series';
'require netpath.tools as tools';

/* With more paths, those that work are shown without details until they are asked for. */
const MANY = 8;
const PACKAGE = 'netpath-bond';
const SETTINGS = 'admin/network/netpath/bonding/settings';
/* Keys of the series of a server's clients together. */
const ALL = 'all';

const ROLES = () => ({ client: _('Client'), server: _('Server') });
const MODES = () => ({ aggregate: _('all paths at once (aggregate)'), 'low-latency': _('the fastest path of the moment (low-latency)'), redundant: _('everything by several paths (redundant)') });

/* "adaptive, 10 + at most 3" */
function correction(fec) {
	const group = readings.figure(fec?.group), repairs = readings.figure(fec?.repairs);
	switch (fec?.mode) {
	case 'off': return _('off');
	case 'fixed': return _('always: %s repairs for %s datagrams').format(format.count(repairs), format.count(group));
	case 'adaptive': return _('as losses are: at most %s repairs for %s datagrams').format(format.count(repairs), format.count(group));
	default: return readings.text(fec?.mode, 40);
	}
}

return view.extend({
	async load() {
		const [ config, all, packages ] = await Promise.all([ api.config(), api.bond(), live.packagePage(PACKAGE) ]);
		this.sections = config.sections;
		this.names = bonds.names(config.sections, all);
		const asked = new URLSearchParams(location.hash.slice(1)).get('bond');
		this.name = this.names.includes(asked) ? asked : this.names[0] ?? null;
		return { packages, reply: this.name == null ? all : await api.bond({ name: this.name }) };
	},

	render({ packages, reply }) {
		tools.style();
		Object.assign(this, { packages, cards: new Map(), detailed: false });
		this.forget();
		const place = (name, attributes) => this[name] = E('div', { 'data-part': name, ...attributes });
		const page = E('div', { 'class': 'np-page' }, [
			E('h2', {}, [ _('Bonding') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('Several uplinks as one encrypted tunnel to a server of yours.') ]),
			place('choice', { 'class': 'np-controls' }),
			place('notices'),
			this.content = E('div', {}, [
				this.makeAbout(place),
				place('speeds', { 'class': 'np-tiles' }),
				place('chosen'),
				this.makeChart().node,
				place('counters', { 'class': 'np-tiles np-tiles-small' }),
				this.title = E('h3', {}, [ _('Paths') ]),
				place('summary'),
				place('shares'),
				this.toggle = E('button', { 'type': 'button', 'class': 'btn cbi-button', 'data-action': 'details', 'click': () => this.detail() },
					[ _('Details of all') ]),
				place('paths', { 'class': 'np-cards' }),
				place('clients')
			])
		]);
		this.page = page;
		this.table = paths.clients((event, key) => this.choose(event, key));
		this.clients.append(E('h3', {}, [ _('Clients') ]), this.table.node);
		this.showChoice();
		this.take(reply);
		poll.add(() => this.poll(), 1);
		return page;
	},

	/* The button stays the same, so that it keeps the focus. */
	makeAbout(place) {
		return this.about = E('section', {}, [ place('head', { 'class': 'np-card-head' }), place('complaint'), place('facts'),
			E('div', { 'class': 'np-actions' }, [ keys.button(() => this.forKeys()) ]) ]);
	},

	makeChart() {
		return this.chart = live.chart(_('receiving upwards, sending downwards'), series.RX, series.TX);
	},

	/* Nothing is known of another bond. */
	forget() {
		Object.assign(this, { last: {}, chosenKey: null, rows: new Map(), totals: new Map() });
	},

	showChoice() {
		dom.content(this.choice, this.names.length < 2 ? [] : [ E('label', {}, [ _('Bond'), ' ',
			E('select', { 'class': 'cbi-input-select', 'data-choice': 'bond', 'change': event => this.turn(event.target.value) },
				this.names.map(name => E('option', { 'value': name, 'selected': name === this.name ? '' : null }, [ name ]))) ]) ]);
	},

	/* To another bond. */
	async turn(name) {
		this.name = name;
		history.replaceState(null, '', `#bond=${encodeURIComponent(name)}`);
		this.forget();
		this.take(await api.bond({ name }));
	},

	/* A page in the background asks nothing; the graph has a gap for that time. */
	async poll() {
		if (document.hidden)
			return;
		const name = this.name;
		if (name == null) {
			const all = await api.bond();
			this.names = bonds.names([], all);
			this.name = this.names[0] ?? null;
			return this.take(all);
		}
		const reply = await api.bond({ name });
		if (name === this.name)
			this.take(reply);
	},

	/* Shows a reply. Of a bond that cannot be asked, what was last known stays in sight, marked as such. */
	take(reply) {
		const state = bonds.state(reply, this.name);
		const running = state == 'running';
		if (running) {
			this.last = reply;
			this.clock = bonds.time(reply, Date.now() / 1000);
			this.heard = Date.now();
			this.note(bonds.peers(reply));
		}
		const known = this.last.running === true;
		/* Not by the style sheet, which may come later than the page. */
		this.content.style.display = known ? '' : 'none';
		parts.refresh(this.notices, JSON.stringify([ state, known, running ? reply.problem : [ reply?.error, reply?.remedy ] ]), () =>
			running ? this.remark(reply) : this.obstacle(state, reply, known));
		if (known)
			this.show(!running);
	},

	/* Series are of this page: they begin when it is opened. */
	note(peers) {
		const server = this.last.role == 'server', chosen = this.peer(peers);
		const all = peers.flatMap(peer => bonds.paths(peer));
		bonds.note(this.totals, server ? [ { key: ALL, rx_rate: bonds.sum(all, 'rx_rate'), tx_rate: bonds.sum(all, 'tx_rate') } ] : [], this.clock, live.SPAN);
		bonds.note(this.rows, chosen ? bonds.lines(bonds.paths(chosen)) : [], this.clock, live.SPAN);
	},

	/* Whose paths are shown: of a client its server, of a server the client that was chosen. */
	peer(peers) {
		return this.last.role == 'server' ? peers.find(peer => peer.key === this.chosenKey) ?? null : peers[0] ?? null;
	},

	remark(reply) {
		const problem = readings.text(reply.problem);
		return problem ? [ this.withSettings(parts.notice('warning', problem)) ] : [];
	},

	withSettings(notice, text) {
		notice.append(E('p', {}, [ live.button(L.url(SETTINGS), text ?? _('Settings')) ]));
		return notice;
	},

	obstacle(state, reply, known) {
		const error = readings.text(reply?.error), remedy = readings.text(reply?.remedy);
		const notice = {
			none: () => this.withSettings(parts.notice('notice', _('No bond is configured.'), _('Add one in the settings: as client on this router, as server on a machine with a fast line.')), _('Add a bond')),
			missing: () => parts.notice('notice', _('Bonding is not installed.'), remedy || _('Install the package %s.').format(PACKAGE)),
			stopped: () => this.withSettings(parts.notice('warning', this.name == null ? _('No bond runs.') : _('The bond %s does not run.').format(this.name), remedy)),
			odd: () => parts.notice('error', _('The bond gave an answer that this page does not understand.'), _('Update NetPath and its pages together, then load this page again.'))
		}[state]?.() ?? parts.notice('error', error, remedy);
		return [ live.complete(notice, { state, reply, known, packages: this.packages }) ];
	},

	show(stale) {
		this.stale = stale;
		const now = this.clock, peers = bonds.peers(this.last), server = this.last.role == 'server';
		const peer = this.peer(peers), rows = peer ? bonds.paths(peer) : [];
		this.page.classList.toggle('np-stale-page', stale);
		this.showAbout(peers, now);
		this.showSpeeds(peers, stale);
		this.clients.style.display = server ? '' : 'none';
		if (server) {
			this.table.update(peers, this.chosenKey, now);
			this.showChosen(peers, peer);
		}
		else
			parts.refresh(this.chosen, '', () => []);
		this.showGraph(server && !peer, rows, now + (Date.now() - this.heard) / 1000);
		for (const node of [ this.counters, this.title, this.summary ])
			node.style.display = peer ? '' : 'none';
		this.shares.style.display = rows.length ? '' : 'none';
		this.toggle.style.display = rows.length > MANY ? '' : 'none';
		parts.refresh(this.counters, JSON.stringify(bonds.COUNTERS.map(name => peer?.[name])), () => paths.counters(peer));
		this.showSummary(rows, stale);
		parts.refresh(this.shares, JSON.stringify(rows.map(row => [ row.label, row.share, stale ])), () => [ paths.shares(stale ? [] : rows) ]);
		paths.sync(this.paths, this.cards, rows, now, stale);
		this.toggle.setAttribute('aria-pressed', this.detailed);
		this.paths.classList.toggle('np-brief', rows.length > MANY && !this.detailed);
	},

	/* What it is, and how its peer is. */
	showAbout(peers, now) {
		const reply = this.last, server = reply.role == 'server', peer = peers[0], since = epoch => format.duration(Math.max(0, now - readings.figure(epoch)));
		const state = server ? { state: 'up' } : peer ?? { state: null }, up = peers.filter(each => each.state == 'up').length;
		const facts = [
			[ _('Role'), ROLES()[reply.role] ?? readings.text(reply.role, 40) ],
			[ _('Runs'), readings.figure(reply.since) == null ? '' : _('for %s').format(since(reply.since)) ],
			...(server ? [ [ _('Clients'), _('%d of %d').format(up, peers.length) ], [ _('Port'), format.count(readings.figure(reply.port)) ] ] : [
				[ _('Server'), peer?.name ?? format.NOTHING ],
				[ _('In this state'), readings.figure(peer?.since) == null ? '' : _('for %s').format(since(peer.since)) ],
				[ _('Encryption'), readings.text(peer?.cipher, 60) ] ]),
			[ _('Device'), readings.text(reply.device, 60) ],
			[ _('Addresses in the tunnel'), server ? '' : paths.addresses(peer) ],
			[ _('Largest packet'), paths.octets(reply.mtu) ],
			[ _('Mode'), MODES()[reply.mode] ?? readings.text(reply.mode, 40) ],
			[ _('Error correction'), correction(reply.fec) ],
			[ _('Handshakes refused'), this.refused(reply) ],
			[ _('Datagrams dropped'), this.strange(reply) ],
			[ _('Own public key'), readings.text(reply.public_key, 60) ]
		];
		const status = server ? { text: _('running'), tone: 'good', sign: '✔' } : format.link(state.state), word = server ? 'running' : readings.text(state.state, 40);
		this.about.className = `np-card np-bond np-edge-${status.tone}`;
		Object.assign(this.about.dataset, { bond: readings.text(reply.name, 60), state: word });
		parts.refresh(this.head, JSON.stringify([ reply.name, word ]), () => [ E('h4', {}, [ readings.text(reply.name, 100) ]), parts.badge(word, status) ]);
		parts.refresh(this.complaint, JSON.stringify([ state.problem ]), () => paths.problem(state));
		paths.tell(this.facts, facts);
	},

	forKeys() {
		const section = readings.list(this.sections).find(each => each.type == 'bond' && each.name === this.name);
		return { name: this.name, role: this.last.role, key: readings.text(this.last.public_key, 60) || null, options: section?.options ?? {} };
	},

	/* Most are of the noise of the Internet; a known machine with a wrong key is worth a word. */
	refused(reply) {
		const all = readings.figure(reply.rejected), strangers = readings.figure(reply.strangers);
		if (!all)
			return '';
		return strangers ? _('%s, %s of them of unknown keys').format(format.count(all), format.count(strangers)) : format.count(all);
	},

	/* Of these, only the second kind was meant for a session of ours. */
	strange(reply) {
		const unknown = readings.figure(reply.unknown), refused = readings.figure(reply.refused);
		return unknown || refused ? _('%s that belong to nothing here, %s that are not authentic or came before').format(format.count(unknown), format.count(refused)) : '';
	},

	showSpeeds(peers, stale) {
		const rows = peers.flatMap(peer => bonds.paths(peer));
		const tiles = [ [ 'rx', '↓', _('Receiving'), bonds.sum(rows, 'rx_rate'), bonds.sum(peers, 'rx_bytes') ], [ 'tx', '↑', _('Sending'), bonds.sum(rows, 'tx_rate'), bonds.sum(peers, 'tx_bytes') ] ];
		parts.refresh(this.speeds, JSON.stringify([ stale, tiles ]), () => tiles.map(([ name, arrow, title, rate, bytes ]) => E('div', { 'class': 'np-tile' }, [
			E('strong', {}, [ title ]), E('div', { 'class': 'np-large', 'data-speed': name }, [ `${arrow} ${format.rate(stale ? null : rate)}` ]),
			E('div', { 'class': 'np-hint' }, [ _('%s in all').format(format.bytes(bytes)) ])
		])));
	},

	showGraph(together, rows, now) {
		const lines = together ? [ { name: ALL, label: _('All clients'), colour: 0, rows: this.totals.get(ALL) ?? [] } ]
			: bonds.lines(rows).map(path => ({ name: path.label, label: path.label, colour: path.colour, rows: this.rows.get(path.key) ?? [] }));
		this.chart.update(lines, now, series.span(lines.map(line => line.rows), now, live.LEAST, live.SPAN), 1);
	},

	/* Of a server: whose paths are shown. */
	showChosen(peers, peer) {
		parts.refresh(this.chosen, JSON.stringify([ peer?.key, peers.length ]), () => {
			if (!peers.length)
				return [ E('p', { 'class': 'np-hint' }, [ _('No client is configured yet.') ]), live.button(L.url(SETTINGS), _('Settings')) ];
			return peer ? [ E('h3', { 'tabindex': -1 }, [ _('Client %s').format(peer.name) ]), E('button', { 'type': 'button', 'class': 'btn cbi-button',
				'data-action': 'all', 'click': event => this.choose(event, null) }, [ _('All clients') ]) ]
				: [ E('p', { 'class': 'np-hint' }, [ _('Choose a client below to see its paths.') ]) ];
		});
	},

	choose(event, key) {
		event.preventDefault();
		this.chosenKey = key;
		this.rows = new Map();
		this.note(bonds.peers(this.last));
		this.show(this.stale);
		if (key != null) {
			this.chosen.scrollIntoView({ block: 'start' });
			this.chosen.querySelector('h3')?.focus({ preventScroll: true });
		}
	},

	/* How many work, and which do not. */
	showSummary(rows, stale) {
		const failing = stale ? [] : bonds.failing(rows).map(row => row.label), { up, all } = bonds.usable(rows);
		parts.refresh(this.summary, JSON.stringify([ up, all, failing, stale ]), () => [ E('p', { 'class': 'np-summary', 'role': 'status' }, [
			stale ? '' : !all ? _('No path yet: none of its links can be used.') : _('%d of %d paths work.').format(up, all),
			...(failing.length ? [ ' ', _('Down:'), ' ' ] : []),
			...live.names(failing, name => [ ...this.cards.values() ].find(each => each.node.dataset.path === name)?.node)
		]) ]);
	},

	detail() {
		this.detailed = !this.detailed;
		this.show(this.stale);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
