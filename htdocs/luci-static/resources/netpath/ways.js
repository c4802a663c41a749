// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require netpath.format as format';
'require netpath.parts as parts';

/* The picture of the ways from the LAN by the policies to the uplinks. */

const ROW = 44, BOX = 34, PADDING = 6;
/* More would be no picture any more. */
const MOST = 24;
/* Width of a share's text. */
const LABEL = 46;
/* Width of a glyph at the picture's size of letters, roughly. */
const GLYPH = 7;

/* Where links touch a side of a box: one below the other, in the order of their other ends. */
function spread(links, side, other) {
	const sides = new Map();
	for (const link of links)
		sides.set(link[side], [ ...sides.get(link[side]) ?? [], link ]);
	for (const [ box, touching ] of sides)
		touching.sort((a, b) => a[other].y - b[other].y).forEach((link, at) => {
			link[side + 'Y'] = box.y + BOX * (at + 1) / (touching.length + 1);
			link.turn = at;
		});
}

return baseclass.extend({
	/* Pure: boxes and links of the picture at a width in pixels.
	 *
	 * interfaces: rows of `status` by name. policies: those of `policies`. rules: those of `rules`.
	 * -> { height, hidden: how many are left out, lan, policies: [box], uplinks: [box], links: [link] }
	 * box: { name, x, y, width, height, status, idle }. link: { from, to, fromY, toY, share (0 to 1), percent, idle, closed }. */
	layout(interfaces, policies, rules, width) {
		const shown = policies.slice(0, MOST);
		const members = new Set(shown.flatMap(policy => policy.members.map(member => member.interface)));
		const names = Object.keys(interfaces).sort((a, b) => members.has(b) - members.has(a));
		const uplinks = names.slice(0, MOST);
		const rows = Math.max(shown.length, uplinks.length, 1);
		const height = rows * ROW + PADDING * 2;
		const gap = Math.max(40, width * 0.18), box = Math.min(300, (width - gap * 2) / 2.5);
		const lanWidth = box / 2, policyWidth = Math.min(box, 220), uplinkX = width - box;
		const place = (count, x, size) => (item, at) => ({ name: item.name ?? item, x, width: size, height: BOX,
			y: PADDING + (rows - count) * ROW / 2 + at * ROW + (ROW - BOX) / 2 });
		const lan = place(1, 0, lanWidth)('LAN', 0);
		const middle = shown.map(place(shown.length, (lanWidth + uplinkX - policyWidth) / 2, policyWidth));
		const right = uplinks.map(place(uplinks.length, uplinkX, box));
		const used = new Set(rules.map(rule => rule.policy));
		right.forEach(uplink => uplink.status = interfaces[uplink.name].status);
		const links = [];
		shown.forEach((policy, at) => {
			middle[at].idle = !used.has(policy.name);
			links.push({ from: lan, to: middle[at], share: 0.5, percent: null, idle: middle[at].idle, closed: false });
			for (const member of policy.members) {
				const to = right.find(uplink => uplink.name == member.interface);
				const percent = Math.max(member.ipv4 ?? 0, member.ipv6 ?? 0);
				if (to)
					links.push({ from: middle[at], to, share: percent / 100, percent, idle: percent == 0, closed: member.open === false,
						policy: policy.name });
			}
		});
		spread(links, 'from', 'to');
		spread(links, 'to', 'from');
		return { width, height, lan, policies: middle, uplinks: right, links,
			hidden: policies.length - shown.length + names.length - uplinks.length };
	},

	/* As much of a text as fits into pixels. */
	fitting(text, pixels) {
		const room = Math.floor(pixels / GLYPH);
		return text.length <= room ? text : text.slice(0, Math.max(1, room - 1)) + '…';
	},

	/* The drawing of a layout. metrics: those of `metrics` by interface, or {}. lanLabel: the word for the LAN. */
	draw(layout, interfaces, metrics, lanLabel) {
		const idle = layout.links.filter(link => link.idle), busy = layout.links.filter(link => !link.idle);
		return parts.svg('svg', {
			'class': 'np-ways', 'viewBox': '0 0 %d %d'.format(layout.width, layout.height), 'height': layout.height,
			'role': 'img', 'aria-label': this.words(layout)
		}, [
			...idle.map(link => this.link(link)), ...busy.map(link => this.link(link)),
			...busy.filter(link => link.percent != null).map(link => this.share(link)),
			this.box(layout.lan, 'np-plain', [ lanLabel ]),
			...layout.policies.map(policy => this.box(policy, policy.idle ? 'np-idle' : 'np-plain', [ policy.name ])),
			...layout.uplinks.map(uplink => {
				const state = format.state(uplink.status), row = interfaces[uplink.name], traffic = metrics[uplink.name];
				const second = uplink.status == 'online' && traffic ? this.traffic(traffic, uplink.width) : state.text;
				return this.box(uplink, 'np-' + state.tone, [ '%s %s'.format(state.sign, uplink.name), second ],
					'%s: %s, %s'.format(uplink.name, state.text, row?.reason ?? ''));
			})
		]);
	},

	/* Both rates where there is room for them, else the download's. */
	traffic(traffic, width) {
		const both = '↓ %s  ↑ %s'.format(format.rate(traffic.rx_rate), format.rate(traffic.tx_rate));
		return both.length * GLYPH <= width ? both : '↓ ' + format.rate(traffic.rx_rate);
	},

	link(link) {
		const x1 = link.from.x + link.from.width, y1 = link.fromY, x2 = link.to.x, y2 = link.toY;
		const middle = (x1 + x2) / 2;
		return parts.svg('path', {
			'd': 'M%d,%dC%d,%d %d,%d %d,%d'.format(x1, y1, middle, y1, middle, y2, x2, y2),
			'class': 'np-link' + (link.closed ? ' np-closed' : link.idle ? ' np-unused' : ''),
			'stroke-width': link.idle ? 1 : 1.5 + link.share * 6,
			'data-link': link.policy ? '%s>%s'.format(link.policy, link.to.name) : null
		}, [ parts.svg('title', {}, [ '%s → %s%s'.format(link.from.name, link.to.name,
			link.percent == null ? '' : ': ' + (link.closed ? _('closed now') : format.percent(link.percent))) ]) ]);
	},

	share(link) {
		/* Near the uplink, where the lines have parted; neighbours are not one above the other. */
		const x = link.to.x - 4 - link.turn % 2 * LABEL, y = link.toY + 4;
		return parts.svg('text', { 'x': x, 'y': y, 'class': 'np-share', 'text-anchor': 'end' }, [ format.percent(link.percent) ]);
	},

	box(box, tone, lines, title) {
		const step = 14, top = box.y + BOX / 2 + 4.5 - (lines.length - 1) * step / 2;
		return parts.svg('g', { 'class': 'np-box ' + tone, 'data-box': box.name }, [
			parts.svg('title', {}, [ title ?? box.name ]),
			parts.svg('rect', { 'x': box.x + 0.5, 'y': box.y + 0.5, 'width': Math.max(1, box.width - 1), 'height': BOX - 1, 'rx': 4 }),
			...lines.map((line, at) => parts.svg('text', { 'x': box.x + box.width / 2, 'y': top + at * step, 'text-anchor': 'middle',
				'class': at ? 'np-second' : null }, [ this.fitting(line, box.width - 6) ]))
		]);
	},

	/* The picture for those who cannot see it. */
	words(layout) {
		return layout.links.filter(link => link.percent)
			.map(link => _('policy %s: %s by %s').format(link.from.name, format.percent(link.percent), link.to.name)).join('; ') ||
			_('no policy has a usable uplink');
	}
});
