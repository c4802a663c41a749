// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require form';
'require uci';
'require ui';
'require baseclass';
'require netpath.fields as fields';
'require netpath.schema as schema';
'require netpath.shares as shares';
'require netpath.valid as valid';

/* The members of a policy, edited where the policy is. Their sections are made and removed with the rows. */

const DETAILS = [ 'time', 'weekdays', 'quota', 'quota_reset' ];
const ALL = [ 'interface', 'metric', 'weight', ...DETAILS ];
const COLOURS = 8;

/* Section of a member -> the policies that name it. */
function users(member) {
	return fields.names('policy').filter(policy => (fields.read(policy, 'policy', 'members') ?? []).includes(member));
}

/* A member as the file has it. */
function row(member) {
	const found = { sid: member };

	for (const option of ALL)
		found[option] = fields.read(member, 'member', option);

	return found;
}

function number(text, otherwise) {
	return /^[0-9]+$/.test(text ?? '') ? +text : otherwise;
}

/* Rows as the arithmetic wants them. Whether a member is open now is what the tracker says. */
function counted(rows, live) {
	return rows.filter(each => each.interface).map(each => ({
		interface: each.interface, metric: number(each.metric, 1), weight: number(each.weight, 1),
		closed: live.closed.includes(each.sid)
	}));
}

function familyOf(name) {
	return fields.read(name, 'interface', 'family') ?? 'ipv4';
}

function freeName(policy, uplink, given) {
	const taken = [ ...uci.sections(fields.CONFIG).map(section => section['.name']), ...given ];
	const base = `${policy}_${uplink}`.replace(/[^A-Za-z0-9_]/g, '_').slice(0, 60);
	let name = base;

	for (let n = 2; taken.includes(name); n++)
		name = `${base}_${n}`;

	return name;
}

function removeUnused(members) {
	for (const member of members)
		if (uci.get(fields.CONFIG, member)?.['.type'] == 'member' && !users(member).length)
			uci.remove(fields.CONFIG, member);
}

const TITLES = {
	interface: () => _('Interface'), metric: () => _('Metric'), weight: () => _('Weight'), time: () => _('Hours'),
	weekdays: () => _('Weekdays'), quota: () => _('Quota a month'), quota_reset: () => _('Begins on day')
};

const MembersValue = form.Value.extend({
	__name__: 'NetPath.Members',

	load(sid) {
		return fields.read(sid, 'policy', 'members') ?? [];
	},

	renderWidget(sid, _index, members) {
		this.rows = (members ?? []).map(member => ({ ...row(member), shared: users(member).filter(policy => policy != sid) }));
		this.list = E('div', { 'class': 'np-members' });
		this.preview = E('div', { 'data-part': 'preview', 'aria-live': 'polite' });
		this.node = E('div', {}, [
			this.list,
			E('div', { 'style': 'margin: .5em 0' }, [ E('button', {
				'class': 'cbi-button cbi-button-add', 'type': 'button', 'data-action': 'add-member',
				'disabled': this.map.readonly || null, 'click': () => this.append()
			}, [ _('Add member') ]) ]),
			this.preview
		]);
		/* What is typed counts at once, what is chosen when it is. */
		this.node.addEventListener('input', () => this.refresh(sid));
		this.node.addEventListener('change', () => this.refresh(sid));
		this.sid = sid;
		this.draw();

		return this.node;
	},

	append() {
		const used = this.rows.map(each => each.interface);
		const names = fields.names('interface');

		this.rows.push({ sid: null, interface: names.find(name => !used.includes(name)) ?? names[0], shared: [] });
		this.draw();
		this.list.lastElementChild?.querySelector('select, input')?.focus();
	},

	move(at, by) {
		this.rows.splice(at + by, 0, ...this.rows.splice(at, 1));
		this.draw();
		this.list.children[at + by].querySelector(`[data-action="${by < 0 ? 'up' : 'down'}"]`)?.focus();
	},

	draw() {
		dom.content(this.list, this.rows.length
			? this.rows.map((each, at) => this.drawRow(each, at))
			: [ E('em', {}, [ _('No members yet: every new connection gets the last resort.') ]) ]);
		this.refresh(this.sid);
	},

	drawRow(each, at) {
		each.widgets = {};

		const input = option => this.labelled(each, option, this.input(each, option));
		const button = (action, sign, title, off, click) => E('button', {
			'class': `cbi-button${action == 'remove' ? ' cbi-button-remove' : ''}`, 'type': 'button', 'data-action': action,
			'title': title, 'aria-label': title, 'disabled': off || this.map.readonly || null, 'click': click
		}, [ sign ]);
		const details = E('details', { 'open': DETAILS.some(option => each[option]?.length) ? '' : null }, [
			E('summary', {}, [ _('Hours and quota') ]),
			E('div', {}, DETAILS.map(input))
		]);

		return E('div', { 'class': 'np-member', 'data-member': each.sid ?? '', 'role': 'group', 'aria-label': each.interface ?? '' }, [
			input('interface'), input('metric'), input('weight'),
			E('div', {}, [ E('label', {}, [ _('Share') ]), each.share = E('span', { 'class': 'np-share-of' }) ]),
			E('div', { 'class': 'np-member-buttons' }, [
				button('up', '↑', _('Move up'), at == 0, () => this.move(at, -1)), ' ',
				button('down', '↓', _('Move down'), at == this.rows.length - 1, () => this.move(at, 1)), ' ',
				button('remove', '✕', _('Remove member'), false, () => {
					this.rows.splice(at, 1);
					this.draw();
				})
			]),
			details,
			each.shared.length ? E('div', { 'class': 'np-hint', 'style': 'grid-column: 1 / -1' },
				[ _('Also a member of %s: changes count there too.').format(each.shared.join(', ')) ]) : ''
		]);
	},

	labelled(each, option, node) {
		const id = `np-member-${this.rows.indexOf(each)}-${option}`;

		node.querySelector('input, select')?.setAttribute('id', id);
		node.querySelector('input, select')?.setAttribute('data-option', option);

		return E('div', { 'title': schema.sections.member.options[option].help },
			[ E('label', { 'for': id }, [ TITLES[option]() ]), node ]);
	},

	input(each, option) {
		const definition = schema.sections.member.options[option];
		const disabled = this.map.readonly || null;

		if (option == 'interface') {
			const names = fields.names('interface');
			const choices = Object.fromEntries([ ...names, ...(names.includes(each.interface) || !each.interface ? [] : [ each.interface ]) ]
				.map(name => [ name, name ]));

			each.widgets[option] = new ui.Select(each.interface ?? '', choices, { optional: false, disabled, sort: false,
				validate: value => names.includes(value) || _('there is no interface %s').format(value) });
		}
		else {
			each.widgets[option] = new ui.Textfield(L.toArray(each[option]).join(' '), { optional: true, disabled,
				placeholder: definition.default ?? definition.note,
				validate: value => value === '' ? true : valid.item('member', option, value) ?? true });
		}

		const node = each.widgets[option].render();

		node.addEventListener('input', () => this.take(each, option));
		node.addEventListener('change', () => this.take(each, option));

		return node;
	},

	take(each, option) {
		const value = String(each.widgets[option].getValue() ?? '').trim();

		each[option] = value == '' ? null : schema.sections.member.options[option].list ? value.split(/\s+/) : value;
	},

	/* Shares of new connections by interface with the uplinks as they are. */
	refresh(sid) {
		const live = this.liveState();
		const mode = this.section.formvalue(sid, 'mode') ?? fields.read(sid, 'policy', 'mode') ?? 'balanced';
		const resort = this.section.formvalue(sid, 'last_resort') ?? fields.read(sid, 'policy', 'last_resort') ?? 'unreachable';
		const percents = {}, lines = [];

		for (const family of [ 'ipv4', 'ipv6' ]) {
			const members = counted(this.rows, live).filter(each => familyOf(each.interface) == family);

			if (!members.length)
				continue;

			Object.assign(percents, shares.of(mode, members, live.ids(), live.usable()));

			const steps = shares.tiers(mode, members.map(each => ({ ...each, closed: false })), live.ids());

			lines.push(E('div', { 'data-preview': family }, [
				E('strong', {}, [ family == 'ipv4' ? 'IPv4' : 'IPv6', ': ' ]), describe(steps, mode, members, this.resorts?.[resort] ?? resort)
			]));
		}

		for (const each of this.rows) {
			const open = each.interface && !live.closed.includes(each.sid);

			each.share.textContent = open ? _('%d %%').format(percents[each.interface] ?? 0) : open === false ? _('closed') : '';
		}

		dom.content(this.preview, [
			...lines,
			E('div', { 'class': 'np-hint' }, [ live.running
				? _('The shares are those of the next new connections, with the uplinks as they are now.')
				: _('The shares are those with every uplink online: NetPath is not running.') ])
		]);
	},

	formvalue() {
		return this.rows?.map(each => each.sid ?? each.interface) ?? [];
	},

	getUIElement() {
		return null;
	},

	faulty() {
		for (const each of this.rows ?? []) {
			const values = Object.fromEntries(ALL.map(option => [ option, each[option] ]));
			const found = valid.section('member', values, { interfaces: fields.names('interface'), members: [], policies: [] })[0];

			if (found)
				return `${each.interface ?? ''} ${TITLES[found.option]?.() ?? found.option}: ${found.message}`;
		}

		return null;
	},

	isValid() {
		return this.faulty() == null;
	},

	getValidationError() {
		return this.faulty() ?? '';
	},

	parse(sid) {
		if (!this.rows)
			return Promise.resolve();

		if (!this.isValid())
			return Promise.reject(new TypeError(this.getValidationError()));

		const before = fields.read(sid, 'policy', 'members') ?? [];
		const now = [];

		for (const each of this.rows) {
			each.sid ??= freeName(sid, each.interface, now);

			if (!uci.get(fields.CONFIG, each.sid))
				uci.add(fields.CONFIG, 'member', each.sid);

			for (const option of ALL)
				fields.write(each.sid, 'member', option, each[option]);

			now.push(each.sid);
		}

		fields.write(sid, 'policy', 'members', now);
		removeUnused(before.filter(member => !now.includes(member)));

		return Promise.resolve();
	}
});

/* "wan 75 %, lte 25 %; when they fail: lte 100 %; when none is left: Unreachable." `resort`: in words. */
function describe(steps, mode, members, resort) {
	const told = steps.map(step => mode == 'failover'
		? [ ...new Set(members.filter(each => each.metric == step.metric).map(each => each.interface)) ].reduce((all, name) => _('%s, then %s').format(all, name))
		: Object.entries(step.shares).map(([ name, percent ]) => _('%s %d %%').format(name, percent)).join(', '));

	return [ ...told.map((step, at) => at ? _('when they fail: %s').format(step) : step), _('when none is left: %s').format(resort) ].join('; ') + '.';
}

/* A bar of shares, with the same in words. */
function bar(percents) {
	const told = Object.entries(percents).filter(([ , percent ]) => percent > 0);

	return told.length ? [
		E('div', { 'class': 'np-shares', 'aria-hidden': 'true' }, told.map(([ , percent ], i) =>
			E('span', { 'class': `np-c${i % COLOURS}`, 'style': `width:${Math.round(percent)}%` }))),
		E('div', {}, told.flatMap(([ name, percent ], i) => [ i ? ', ' : '', E('span', { 'class': 'np-whole' }, [ _('%s %d %%').format(name, percent) ]) ]))
	] : [ E('em', {}, [ _('last resort') ]) ];
}

return baseclass.extend({ MembersValue, users, row, counted, familyOf, removeUnused, bar });
