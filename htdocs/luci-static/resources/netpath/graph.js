// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require dom';
'require netpath.parts as parts';
'require netpath.series as series';

/* A chart of lines over time. It is asked for figures by pointer, touch or arrow keys. */

const HEIGHT = 170, TOP = 10, BOTTOM = 20, LEFT = 66, RIGHT = 10;
/* Colours of the style sheet. */
const COLOURS = 8;

const Chart = baseclass.extend({
	/* name: of the chart. title, hint: texts. up: column drawn upwards. down: column drawn downwards from the middle, or null.
	 * least: smallest top of the scale. most: largest one, or null. factor: of figures as shown,
	 * which the scale is round in. show: figure -> text. moment: epoch -> text. */
	__init__(choices) {
		Object.assign(this, choices);
		this.cursor = null;
		this.drawing = parts.svg('svg', { 'class': 'np-chart', 'tabindex': 0, 'role': 'img', 'height': HEIGHT });
		this.values = E('div', { 'class': 'np-values', 'aria-live': 'off' });
		this.node = E('figure', { 'class': 'np-figure', 'data-chart': this.name }, [
			E('figcaption', {}, [ E('strong', {}, [ this.title ]), ' ', E('span', { 'class': 'np-hint' }, [ this.hint ]) ]),
			this.drawing, this.values
		]);
		this.drawing.addEventListener('pointermove', event => this.point(event));
		this.drawing.addEventListener('pointerdown', event => this.point(event));
		this.drawing.addEventListener('pointerleave', () => this.look(null));
		this.drawing.addEventListener('blur', () => this.look(null));
		this.drawing.addEventListener('keydown', event => this.key(event));
		if (window.ResizeObserver)
			new ResizeObserver(() => this.draw()).observe(this.node);
	},

	/* lines: [{ name, label, colour, dashed, rows }]. until: epoch at the right end; span: seconds; interval: of rows. */
	update(lines, until, span, interval) {
		Object.assign(this, { lines, until, span, interval });
		this.draw();
	},

	x(time) {
		return LEFT + (this.width - LEFT - RIGHT) * (1 - (this.until - time) / this.span);
	},

	draw() {
		this.width = Math.round(this.node.clientWidth);
		if (!this.lines || this.width < LEFT + RIGHT + 50)
			return;
		const from = this.until - this.span;
		const lists = this.lines.map(line => line.rows);
		const peak = column => column == null ? 0 : series.peak(lists, column, from);
		const top = Math.min(series.ceiling(Math.max(peak(this.up), peak(this.down)) * this.factor, this.least) / this.factor, this.most ?? Infinity);
		const bottom = HEIGHT - BOTTOM, zero = this.down == null ? bottom : (TOP + bottom) / 2;
		const y = figure => zero - (zero - TOP) * Math.min(figure, top) / top;
		const mirrored = figure => 2 * zero - y(figure);
		this.drawing.setAttribute('viewBox', '0 0 %d %d'.format(this.width, HEIGHT));
		this.drawing.setAttribute('aria-label', '%s. %s'.format(this.title, this.summary()));
		dom.content(this.drawing, [
			...this.grid(top, y, mirrored, bottom),
			...this.lines.flatMap(line => [
				...this.line(line, this.up, from, y, zero),
				...(this.down == null ? [] : this.line(line, this.down, from, mirrored, zero))
			]),
			this.cross(bottom)
		].filter(node => node));
		this.tell();
	},

	grid(top, y, mirrored, bottom) {
		const text = (words, x, height, anchor) =>
			parts.svg('text', { 'x': x, 'y': height, 'text-anchor': anchor, 'class': 'np-axis' }, [ words ]);
		const rule = height => parts.svg('line', { 'x1': LEFT, 'x2': this.width - RIGHT, 'y1': height, 'y2': height, 'class': 'np-grid' });
		const marks = this.down == null ? [ top, top / 2, 0 ].map(figure => [ figure, y(figure) ])
			: [ [ top, y(top) ], [ 0, y(0) ], [ top, mirrored(top) ] ];
		const ticks = Math.min(6, Math.max(2, Math.floor(this.width / 160)));
		const nodes = marks.flatMap(([ figure, height ]) => [ rule(height), text(this.show(figure), LEFT - 5, height + 4, 'end') ]);
		for (let tick = 0; tick <= ticks; tick++) {
			const time = this.until - this.span * (1 - tick / ticks);
			const anchor = tick == 0 ? 'start' : tick == ticks ? 'end' : 'middle';
			nodes.push(text(this.moment(time), this.x(time), bottom + 15, anchor));
		}
		return nodes;
	},

	line(line, column, from, y, zero) {
		const rows = line.rows.filter(row => row[series.TIME] >= from);
		const runs = series.runs(rows, column, this.interval, time => this.x(time), y);
		const colour = 'np-c%d'.format(line.colour % COLOURS);
		return [
			this.down == null ? null : parts.svg('path', { 'd': series.path(runs, zero), 'class': 'np-area ' + colour }),
			parts.svg('path', { 'd': series.path(runs), 'class': 'np-line ' + colour + (line.dashed ? ' np-dashed' : ''), 'data-line': line.name })
		];
	},

	cross(bottom) {
		if (this.cursor == null)
			return null;
		const x = this.x(this.until - this.cursor);
		return parts.svg('line', { 'x1': x, 'x2': x, 'y1': TOP, 'y2': bottom, 'class': 'np-cross' });
	},

	/* Figures of one line, at the cursor or the newest. */
	figures(line) {
		const row = this.cursor == null ? line.rows[line.rows.length - 1]
			: series.nearest(line.rows, this.until - this.cursor, this.interval * 2);
		const fresh = row && (this.cursor != null || this.until - row[series.TIME] < this.interval * 5);
		const one = column => this.show(fresh ? row[column] : null);
		return this.down == null ? one(this.up) : '↓ %s ↑ %s'.format(one(this.up), one(this.down));
	},

	summary() {
		return this.lines.map(line => '%s: %s'.format(line.label, this.figures(line))).join('; ');
	},

	tell() {
		dom.content(this.values, [
			E('span', { 'class': 'np-when' }, [ this.cursor == null ? _('now') : this.moment(this.until - this.cursor) ]),
			...this.lines.map(line => E('span', { 'class': 'np-value', 'data-value': line.name }, [
				E('span', { 'class': 'np-dot np-b%d'.format(line.colour % COLOURS) + (line.dashed ? ' np-hollow' : '') }),
				line.label, ' ', E('b', {}, [ this.figures(line) ])
			]))
		]);
	},

	/* The cursor: seconds before the right end, or null for none. */
	look(cursor) {
		if (cursor === this.cursor)
			return;
		this.cursor = cursor == null ? null : Math.min(this.span, Math.max(0, cursor));
		this.values.setAttribute('aria-live', cursor == null ? 'off' : 'polite');
		this.draw();
	},

	point(event) {
		const box = this.drawing.getBoundingClientRect();
		const part = (event.clientX - box.left - LEFT) / (this.width - LEFT - RIGHT);
		this.look(part < 0 || part > 1 ? null : this.span * (1 - part));
	},

	key(event) {
		const step = this.span / 60, at = this.cursor ?? 0;
		const target = { ArrowLeft: at + step, ArrowRight: at - step, Home: this.span, End: 0, Escape: null }[event.key];
		if (target === undefined)
			return;
		event.preventDefault();
		this.look(target);
	}
});

return baseclass.extend({
	create: choices => new Chart(choices)
});
