// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require poll';
'require view';
'require netpath.api as api';
'require netpath.format as format';
'require netpath.live as live';
'require netpath.parts as parts';
'require netpath.readings as readings';
'require netpath.series as series';
'require netpath.services as services';
'require netpath.sources as sources';

/* With more sources, those that work are shown without details until they are asked for. */
const MANY = 12;
const PACKAGE = 'netpath-monitor';
const SETTINGS = 'admin/network/netpath/monitor/settings';
const COLOURS = { direct: 0, proxy: 1, wan: 2 };
const HINTS = () => ({ direct: _('past the proxy'), proxy: _('through the proxy'), wan: _('uplinks together') });

return view.extend({
	load() {
		return Promise.all([ api.monitor({ history: true }), live.packagePage(PACKAGE) ]);
	},

	render([ reply, packages ]) {
		parts.style();
		Object.assign(this, { packages, last: {}, rows: {}, cards: new Map(), services: new Map(), time: null, detailed: false });
		const place = (name, attributes) => this[name] = E('div', { 'data-part': name, ...attributes });
		const page = E('div', { 'class': 'np-page' }, [
			E('h2', {}, [ _('Monitor') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('Traffic of proxies, of this router\'s uplinks and of other routers, and who is told of it. It never steers anything.') ]),
			place('notices'),
			this.content = E('div', { 'class': 'np-hide-empty' }, [
				place('speeds', { 'class': 'np-tiles' }),
				this.makeChart().node,
				E('h3', {}, [ _('Sources') ]),
				place('summary'),
				this.toggle = E('button', { 'type': 'button', 'class': 'btn cbi-button', 'data-action': 'details', 'click': () => this.detail() },
					[ _('Details of all') ]),
				place('sources', { 'class': 'np-cards' }),
				E('h3', {}, [ _('Displays, exporters, notifications') ]),
				place('outlets', { 'class': 'np-cards' }),
				place('nothing'),
				place('displays')
			])
		]);
		this.page = page;
		this.take(reply);
		poll.add(() => this.poll(), 1);
		return page;
	},

	makeChart() {
		return this.chart = live.chart(_('download upwards, upload downwards'), readings.DOWN, readings.UP);
	},

	/* A page in the background asks nothing; what it has missed comes with the next answer. */
	async poll() {
		if (!document.hidden)
			this.take(await api.monitor({ history: true, since: this.time == null ? null : Math.floor(this.time) }));
	},

	/* Shows a reply. Of a monitor that cannot be asked, what was last known stays in sight, marked as such. */
	take(reply) {
		const state = readings.state(reply), running = state == 'running';
		if (running) {
			this.last = reply;
			this.rows = readings.merge(this.rows, reply.history, live.SPAN);
			this.time = readings.time(reply.history) ?? this.time;
		}
		const known = this.last.running === true;
		this.page.classList.toggle('np-empty', !known);
		parts.refresh(this.notices, JSON.stringify([ state, running ? reply.problem : [ reply?.error, reply?.remedy ] ]), () =>
			running ? this.remark(reply) : this.obstacle(state, reply, known));
		if (known)
			this.show(!running);
	},

	now() {
		return this.time ?? Date.now() / 1000;
	},

	/* A monitor that runs may have refused its configuration, or be switched off. */
	remark(reply) {
		const problem = readings.text(reply.problem);
		if (!problem)
			return [];
		const notice = parts.notice('warning', problem);
		notice.append(E('p', {}, [ live.button(L.url(SETTINGS), _('Settings')) ]));
		return [ notice ];
	},

	obstacle(state, reply, known) {
		const error = readings.text(reply?.error), remedy = readings.text(reply?.remedy);
		const notice = {
			missing: () => parts.notice('notice', _('The monitor is not installed.'), remedy || _('Install the package %s.').format(PACKAGE)),
			stopped: () => parts.notice('warning', _('The monitor does not run.'), remedy),
			odd: () => parts.notice('error', _('The monitor gave an answer that this page does not understand.'), _('Update NetPath and its pages together, then load this page again.'))
		}[state]?.() ?? parts.notice('error', error, remedy);
		live.complete(notice, { state, reply, known, packages: this.packages });
		if (state == 'stopped')
			notice.append(E('p', {}, [ _('It runs while it is enabled:'), ' ', live.button(L.url(SETTINGS), _('Settings')) ]));
		return [ notice ];
	},

	show(stale) {
		this.stale = stale;
		const now = this.now(), all = readings.list(this.last.sources), outlets = services.of(this.last);
		this.showSpeeds(stale);
		this.chart.update(readings.WAYS.map(way => ({ name: way, label: sources.NAMES()[way], colour: COLOURS[way], rows: this.rows[way] ?? [] })),
			now, series.span(Object.values(this.rows), now, live.LEAST, live.SPAN), 1);
		this.showSummary(all, stale);
		sources.sync(this.sources, this.cards, all, now, stale);
		this.toggle.style.display = all.length > MANY ? '' : 'none';
		this.toggle.setAttribute('aria-pressed', this.detailed);
		this.sources.classList.toggle('np-brief', all.length > MANY && !this.detailed);
		services.sync(this.outlets, this.services, outlets, now, stale);
		parts.refresh(this.nothing, String(outlets.length > 0), () => outlets.length ? []
			: [ E('p', { 'class': 'np-hint' }, [ _('None is configured: the figures are seen here only.') ]) ]);
		const table = services.displays(this.last, now);
		dom.content(this.displays, table ? [ E('h3', {}, [ _('UDP displays') ]), table ] : []);
	},

	showSpeeds(stale) {
		const speeds = readings.speeds(stale ? null : this.last.speeds);
		parts.refresh(this.speeds, JSON.stringify(speeds), () => readings.WAYS.map(way => E('div', { 'class': 'np-tile', 'data-way': way }, [
			E('div', {}, [ E('span', { 'class': `np-dot np-b${COLOURS[way]}` }), E('strong', {}, [ sources.NAMES()[way] ]), ' ',
				E('span', { 'class': 'np-hint' }, [ HINTS()[way] ]) ]),
			E('div', { 'class': 'np-large' }, [
				E('span', { 'data-speed': 'down', 'aria-label': _('Download') }, [ `↓ ${format.rate(speeds[way].down)}` ]), ' ',
				E('span', { 'data-speed': 'up', 'aria-label': _('Upload') }, [ `↑ ${format.rate(speeds[way].up)}` ])
			])
		])));
	},

	/* How many work, and which do not: with many of them nobody reads every card. */
	showSummary(all, stale) {
		const failing = readings.failing(all).map(source => readings.text(source.name));
		parts.refresh(this.summary, JSON.stringify([ all.length, failing, stale ]), () => {
			if (!all.length)
				return [ E('p', {}, [ _('No source is configured yet: there is nothing to count.') ]), live.button(L.url(SETTINGS), _('Add sources'), 'cbi-button-action') ];
			return [ E('p', { 'class': 'np-summary', 'role': 'status' }, [
				failing.length ? _('Failing sources, %d of %d:').format(failing.length, all.length)
					: N_(all.length, '%d source, without a failure now.', '%d sources, none fails now.').format(all.length), ' ',
				...live.names(failing, name => this.cards.get(name)?.node)
			]) ];
		});
	},

	detail() {
		this.detailed = !this.detailed;
		this.show(this.stale);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
