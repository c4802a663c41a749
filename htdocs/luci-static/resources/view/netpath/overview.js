// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require poll';
'require view';
'require netpath.api as api';
'require netpath.cards as cards';
'require netpath.format as format';
'require netpath.graph as graph';
'require netpath.parts as parts';
'require netpath.series as series';
'require netpath.ways as ways';

/* Seconds: the most and the least that the graphs show, and how far apart rows are. */
const RANGES = {
	fine: { span: 600, least: 60, interval: 1, label: () => _('10 minutes') },
	coarse: { span: 86400, least: 3600, interval: 60, label: () => _('24 hours') }
};
const EVENTS = 12;
/* Every so many polls what changes rarely is asked for as well. */
const SELDOM = 5;
/* Seconds without a sample after which the gap is filled from the tracker's history. */
const MISSED = 5;

return view.extend({
	load() {
		return Promise.all([
			api.status(), api.policies(), api.rules(), api.metrics(), api.history(), api.events({ limit: EVENTS })
		]);
	},

	render([ status, policies, rules, metrics, history, events ]) {
		parts.style();
		Object.assign(this, { status, policies: policies.policies ?? [], rules: rules.rules ?? [], metrics, events: events.events ?? [],
			range: 'fine', rows: { fine: {}, coarse: {} }, hidden: new Set(), cards: new Map(), polls: 0 });
		this.remember('fine', history);
		const place = name => this[name] = E('div', { 'data-part': name });
		const page = E('div', { 'class': 'np-page' }, [
			E('h2', {}, [ _('NetPath') ]),
			place('notices'),
			place('summary'),
			E('div', { 'class': 'np-hide-empty' }, [
				this.list = E('div', { 'class': 'np-cards' }),
				E('h3', {}, [ _('Ways') ]),
				E('div', { 'class': 'np-hint' }, [ _('From the LAN by policy to the uplinks: how new connections are shared out now.') ]),
				place('picture'),
				E('h3', {}, [ _('Live') ]),
				this.makeControls(),
				this.makeCharts(),
				E('h3', {}, [ _('Last events') ]),
				place('journal')
			])
		]);
		this.page = page;
		this.show();
		if (window.ResizeObserver)
			new ResizeObserver(() => this.showPicture()).observe(this.picture);
		poll.add(() => this.poll(), 1);
		return page;
	},

	/* One poll. Failures are replies too: whatever comes is shown. */
	async poll() {
		if (document.hidden)
			return;
		const before = this.metrics.time;
		const metrics = await api.metrics();
		const returned = this.metrics.error && !metrics.error;
		this.metrics = metrics.error ? { ...metrics, time: this.metrics.time, interfaces: {} } : metrics;
		const changed = Object.entries(metrics.interfaces ?? {}).some(([ name, each ]) => this.status.interfaces?.[name]?.status != each.status);
		if (metrics.error || returned || changed || this.polls++ % SELDOM == 0)
			await this.refresh(returned);
		if (!metrics.error) {
			if (returned || !before || metrics.time - before > MISSED)
				this.remember('fine', await api.history({ since: before || null }));
			this.rows.fine = series.withMetrics(this.rows.fine, metrics, RANGES.fine.interval, RANGES.fine.span);
			if (this.range == 'coarse' && this.polls % 60 == 0)
				this.remember('coarse', await api.history({ coarse: true }));
		}
		this.show();
	},

	/* What changes rarely. A tracker that has started anew may have another configuration: its rules are asked for again. */
	async refresh(anew) {
		const [ status, policies, events, rules ] = await Promise.all([
			api.status(), api.policies(), api.events({ limit: EVENTS }), anew ? api.rules() : null
		]);
		/* While it is stopped, what was last known stays in sight, marked as such. */
		this.status = status.error ? { ...status, interfaces: this.status.interfaces ?? {} } : status;
		this.policies = policies.policies ?? this.policies;
		this.events = events.events ?? this.events;
		this.rules = rules?.rules ?? this.rules;
	},

	remember(range, reply) {
		if (!reply.error)
			this.rows[range] = series.withHistory(this.rows[range], reply, RANGES[range].span);
	},

	show() {
		const interfaces = this.status.interfaces ?? {}, stale = !!this.status.error;
		const empty = Object.keys(interfaces).length == 0;
		this.page.classList.toggle('np-empty', empty);
		const obstacle = parts.obstacle(this.status), readonly = parts.readonlyNotice();
		parts.refresh(this.notices, JSON.stringify([ this.status.error, this.status.problem, empty, this.status.truncated ]), () => [
			obstacle ?? E([]), readonly ?? E([]),
			empty && !this.status.error ? this.nothingYet() : E([]),
			this.status.truncated ? parts.notice('notice', _('There is more than one answer can hold; not all of it is shown.')) : E([])
		]);
		this.showSummary(interfaces, stale);
		cards.sync(this.list, this.cards, interfaces, (name, order) => this.order(name, order));
		for (const [ name, card ] of this.cards)
			card.update(interfaces[name], this.metrics.interfaces?.[name], this.policies, this.now(), stale);
		this.picture.classList.toggle('np-stale', stale);
		this.showPicture();
		this.showGraphs();
		this.showEvents();
	},

	/* The router's clock, by which everything here is told. */
	now() {
		return this.metrics.time ?? Date.now() / 1000;
	},

	nothingYet() {
		return E('div', { 'class': 'np-first' }, [
			E('p', {}, [ _('No uplink is configured yet.') ]),
			E('p', {}, [
				E('a', { 'class': 'btn cbi-button cbi-button-action', 'href': L.url('admin/network/netpath/interfaces') }, [ _('Add interfaces') ]),
				' ',
				E('a', { 'class': 'btn cbi-button', 'href': L.url('admin/network/netpath/tools/import') }, [ _('Import from mwan3') ])
			])
		]);
	},

	showSummary(interfaces, stale) {
		const rows = Object.values(interfaces);
		const usable = rows.filter(row => row.status == 'online' || row.status == 'disconnecting').length;
		const text = !rows.length ? '' : stale ? _('This is what was last known.')
			: _('%d of %d interfaces carry traffic.').format(usable, rows.length);
		parts.refresh(this.summary, text, () => E('p', { 'class': 'np-summary', 'role': 'status' }, [ text ]));
	},

	showPicture() {
		const width = Math.round(this.picture.clientWidth), interfaces = this.status.interfaces ?? {};
		if (!width || !Object.keys(interfaces).length)
			return;
		const metrics = this.status.error ? {} : this.metrics.interfaces ?? {};
		const key = JSON.stringify([ width, interfaces, this.policies, this.rules.length,
			Object.values(metrics).map(each => [ each.rx_rate, each.tx_rate ]) ]);
		parts.refresh(this.picture, key, () => {
			const layout = ways.layout(interfaces, this.policies, this.rules, width);
			return [
				ways.draw(layout, interfaces, metrics, _('LAN')),
				layout.hidden ? E('p', { 'class': 'np-hint' }, [ _('and %d more, not drawn').format(layout.hidden) ]) : E([]),
				layout.policies.length ? E([]) : E('p', { 'class': 'np-hint' }, [ _('There is no policy yet: all traffic takes the main default route.') ])
			];
		});
	},

	makeControls() {
		this.rangeButtons = Object.entries(RANGES).map(([ key, range ]) => E('button', {
			'type': 'button', 'class': 'btn cbi-button', 'data-range': key, 'click': () => this.chooseRange(key)
		}, [ range.label() ]));
		this.legend = E('span', { 'class': 'np-legend' });
		return E('div', { 'class': 'np-controls' }, [
			E('span', { 'role': 'group', 'aria-label': _('Time shown') }, this.rangeButtons.flatMap(button => [ button, ' ' ])), this.legend,
			E('span', { 'class': 'np-hint' }, [ _('Point at a graph, or use the arrow keys in it, to read its figures.') ])
		]);
	},

	makeCharts() {
		const moment = epoch => this.range == 'fine' ? new Date(epoch * 1000).toLocaleTimeString()
			: new Date(epoch * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
		this.charts = [
			graph.create({ name: 'throughput', title: _('Throughput'), hint: _('of devices: download upwards, upload downwards'),
				up: series.RX, down: series.TX, least: 10000, most: null, factor: 8, show: figure => format.rate(figure), moment }),
			graph.create({ name: 'latency', title: _('Latency'), hint: _('of the targets that answer'),
				up: series.LATENCY, down: null, least: 5, most: null, factor: 1, show: figure => format.ms(figure), moment }),
			graph.create({ name: 'loss', title: _('Loss'), hint: _('of the latest probes'), up: series.LOSS, down: null, least: 10, most: 100, factor: 1,
				show: figure => format.percent(figure), moment })
		];
		return E('div', { 'class': 'np-charts' }, this.charts.map(chart => chart.node));
	},

	async chooseRange(range) {
		this.range = range;
		this.showGraphs();
		if (range == 'coarse')
			this.remember('coarse', await api.history({ coarse: true }));
		this.showGraphs();
	},

	showGraphs() {
		const rows = this.rows[this.range], interfaces = this.status.interfaces ?? {};
		const names = Object.keys(interfaces), { colour, first } = series.devices(names, interfaces);
		const { span, least, interval } = RANGES[this.range];
		this.rangeButtons.forEach(button => {
			const pressed = button.dataset.range == this.range;
			button.setAttribute('aria-pressed', pressed);
			button.classList.toggle('cbi-button-action', pressed);
		});
		parts.refresh(this.legend, JSON.stringify([ names, [ ...this.hidden ], colour ]), () => names.map(name => E('button', {
			'type': 'button', 'class': 'np-chip', 'aria-pressed': !this.hidden.has(name), 'data-legend': name,
			'click': () => this.toggle(name)
		}, [ E('span', { 'class': 'np-dot np-b%d'.format(colour[name] % 8) + (first.has(name) ? '' : ' np-hollow') }), name ])));
		const lines = names.filter(name => !this.hidden.has(name)).map(name => ({
			name, label: name, colour: colour[name], dashed: !first.has(name), rows: rows[name] ?? []
		}));
		const devices = lines.filter(line => first.has(line.name)).map(line => ({ ...line, label: interfaces[line.name].device ?? line.name }));
		const shown = series.span(Object.values(rows), this.now(), least, span);
		this.charts.forEach((chart, at) => chart.update(at == 0 ? devices : lines, this.now(), shown, interval));
	},

	toggle(name) {
		if (!this.hidden.delete(name))
			this.hidden.add(name);
		this.showGraphs();
		this.legend.querySelector('[data-legend="%s"]'.format(CSS.escape(name)))?.focus();
	},

	showEvents() {
		const newest = this.events.slice(-EVENTS).reverse();
		parts.refresh(this.journal, JSON.stringify(newest), () => !newest.length
			? E('p', { 'class': 'np-hint' }, [ _('Nothing has happened since NetPath was started.') ])
			: E('ul', { 'class': 'np-events' }, newest.map(event => {
				const { tone, text } = format.event(event);
				return E('li', { 'class': 'np-edge-' + tone }, [
					E('time', { 'datetime': new Date(event.time * 1000).toISOString() }, [ format.moment(event.time, this.now()) ]), ' ', text
				]);
			})));
	},

	async order(name, order) {
		if (order == 'disable' && !await parts.confirm(_('Switch %s off?').format(name), [
			...cards.consequences(name, this.policies),
			_('It stays off over reloads, until it is switched on or NetPath is started anew.')
		], _('Switch off')))
			return;
		if (await parts.order(order, { interface: name }))
			await this.refresh(false);
		this.show();
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
