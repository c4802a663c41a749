// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require dom';
'require form';
'require poll';
'require uci';
'require netpath.api as api';
'require netpath.native as native';
'require netpath.parts as parts';
'require netpath.schema as schema';
'require netpath.valid as valid';

/* Options of the schema as form elements: type, choices, default, description and validation come from there. */

const CONFIG = 'netpath';
/* Letters that a field shows of what stands in for its value. */
const SHORT = 24;

function optionOf(kind, name) {
	return schema.sections[kind].options[name];
}

/* What may be chosen; the schemes of addresses are something else. */
function choicesOf(option) {
	return [ 'choice', 'choices', 'events' ].includes(option.kind) ? option.choices : [];
}

function names(kind) {
	return uci.sections(CONFIG, kind).map(section => section['.name']);
}

function known() {
	return {
		interfaces: names('interface'), members: names('member'), policies: names('policy'),
		sources: Object.fromEntries(names('source').map(name => [ name, read(name, 'source', 'type') ]).filter(([ , type ]) => type)),
		bonds: Object.fromEntries(names('bond').map(name => [ name, read(name, 'bond', 'role') ])),
		peers: names('bond_peer')
	};
}

/* What a section says for an option, under whichever of its names: a list for lists, else a text or null. */
function read(sid, kind, name) {
	const option = optionOf(kind, name);
	const found = option.names.map(each => uci.get(CONFIG, sid, each)).filter(each => each != null);

	if (option.list)
		return found.length ? found.flatMap(each => L.toArray(each)) : null;

	/* Blanks in a password are part of it. */
	return found.length ? valid.normal(kind, name, [ found[0] ].flat().join(' ')) : null;
}

/* A file in mwan3's words stays one: with one option in NetPath's, its interfaces without `enabled` would be on. */
function nameFor(sid, option) {
	const used = option.names.find(each => uci.get(CONFIG, sid, each) != null);

	return used ?? (valid.speaksMwan3(uci.sections(CONFIG)) ? option.mwan3 ?? option.names[0] : option.names[0]);
}

function remove(sid, kind, name) {
	for (const each of optionOf(kind, name).names)
		if (uci.get(CONFIG, sid, each) != null)
			uci.unset(CONFIG, sid, each);
}

/* What is the default is not written, unless `explicit`; what is so already is left as it is spelled. */
function write(sid, kind, name, value, explicit) {
	const option = optionOf(kind, name);
	const empty = value == null || value === '' || (Array.isArray(value) && !value.length);
	const before = read(sid, kind, name);

	if (empty || (!explicit && !option.list && value === option.default))
		return remove(sid, kind, name);

	if (option.list ? before?.join(' ') == L.toArray(value).join(' ') : before === value)
		return null;

	const target = nameFor(sid, option);

	remove(sid, kind, name);

	return uci.set(CONFIG, sid, target, value);
}

/* The values of a section as the form has them, hidden ones as the file has them. */
function values(section, sid) {
	const found = {};

	for (const field of section.children)
		if (field.schemaKind)
			found[field.option] = field.getUIElement(sid) && field.isActive(sid)
				? field.formvalue(sid) : read(sid, field.schemaKind, field.option);

	return found;
}

/* Why the value of a field is refused beside the others; null when it is not. `given`: instead of what the form has. */
function fault(field, sid, given) {
	const all = { ...values(field.section, sid), ...(given === undefined ? {} : { [field.option]: given }) };
	const found = valid.section(field.schemaKind, all, known()).find(each => each.option == field.option);

	return found ? found.message : null;
}

const behaviour = {
	load(sid) {
		/* Pickers load their choices there. */
		return Promise.resolve(Object.getPrototypeOf(this).load.call(this, sid)).then(() => {
			const value = read(sid, this.schemaKind, this.option);

			return choicesOf(this.schemaOption).length && this.schemaOption.list && value
				? value.join(' ').toLowerCase().split(/[\s,]+/) : value;
		});
	},

	write(sid, value) {
		return write(sid, this.schemaKind, this.option, value, this.explicit);
	},

	remove(sid) {
		return remove(sid, this.schemaKind, this.option);
	},

	/* Of one text: what is typed, or is to be added to a list. */
	validate(sid, value) {
		if (value == null || value === '')
			return true;

		if (this.section.getOption(this.option) !== this || this.map.root?.isConnected !== true)
			return valid.item(this.schemaKind, this.option, String(value)) ?? true;

		return valid.item(this.schemaKind, this.option, String(value))
			?? fault(this, sid, this.schemaOption.list ? L.toArray(value) : value) ?? true;
	},

	isValid(sid) {
		const element = this.getUIElement(sid);

		return !element || (element.isValid() && fault(this, sid) == null);
	},

	getValidationError(sid) {
		return fault(this, sid) ?? this.getUIElement(sid)?.getValidationError() ?? '';
	},

	/* With an explanation of the choice, where the choices have some. */
	renderWidget(sid, index, value) {
		const node = Object.getPrototypeOf(this).renderWidget.call(this, sid, index, value);

		if (!this.explanations)
			return node;

		this.explained = E('div', { 'class': 'np-hint', 'data-explains': this.option, 'aria-live': 'polite' },
			[ this.explanations[value ?? this.default] ?? '' ]);

		return E([], [ node, this.explained ]);
	},

	/* What another field says may make this one right or wrong. */
	onchange(_event, sid, value) {
		if (this.explained)
			this.explained.textContent = this.explanations[value] ?? '';

		this.changed?.(sid);

		for (const field of this.section.children)
			if (field !== this && field.schemaKind && field.isActive(sid))
				field.triggerValidation(sid);
	}
};

function widget(option) {
	if (option.kind == 'bool')
		return form.Flag;

	if (choicesOf(option).length)
		return option.list ? form.MultiValue : form.ListValue;

	return option.list ? form.DynamicList : form.Value;
}

/* Texts of the schema are Markdown. */
function plain(text) {
	return text?.replace(/`([^`]*)`/g, '“$1”').replace(/\*\*/g, '');
}

/* Descriptions are put into pages as HTML. */
function descriptionOf(option) {
	return '%h'.format(plain([
		option.help,
		option.kind == 'duration' ? _('In seconds, or with a unit: 300ms, 2s, 5m.') : null,
		option.note?.length > SHORT ? _('Unless set: %s.').format(option.note) : null
	].filter(text => text).join(' ')));
}

/* A map in a modal says what keeps it from being saved, and writes nothing then. */
function complain(modal, sid) {
	const map = modal.map, save = map.save;

	map.save = function(...given) {
		const wrong = modal.children.find(field => field.isActive(sid) && !field.isValid(sid));

		map.root.querySelector('[data-complaint]')?.remove();

		if (!wrong)
			return save.apply(map, given).catch(error => show(map, error.message));

		return show(map, `${wrong.stripTags(wrong.title).trim() || wrong.option}: ${wrong.getValidationError(sid)}`);
	};
}

function show(map, message) {
	const box = E('div', { 'class': 'alert-message error', 'role': 'alert', 'data-complaint': '' }, [ message ]);

	map.root.prepend(box);
	box.scrollIntoView({ block: 'nearest' });

	return Promise.reject(new Error(message));
}

return baseclass.extend({
	CONFIG,
	names,
	read,
	write,

	/* The configuration. Who may only read is not given it by uci, for there are passwords in it; NetPath leaves them out. */
	load() {
		if (parts.writable())
			return uci.load(CONFIG);

		return api.config().then(reply => {
			uci.state.values[CONFIG] = native.asUci(reply.sections ?? []);
			this.truncated = reply.truncated;
		});
	},

	/* The style sheets of the form pages. */
	style() {
		parts.style();

		const href = L.resource('netpath/forms.css');

		if (!document.querySelector(`link[href="${href}"]`))
			document.head.appendChild(E('link', { 'rel': 'stylesheet', 'href': href }));
	},

	/* Adds an option of the schema to a section. `given`: tab, widget (a form class), labels (choice -> text, or
	 * [ text, explanation ]), and properties of the element. */
	add(section, kind, name, title, given) {
		const option = optionOf(kind, name);
		const { tab, widget: chosen, labels, ...rest } = given ?? {};
		const what = [ chosen ?? widget(option), name, option.unit ? `${title} (${option.unit})` : title, descriptionOf(option) ];
		const field = tab ? section.taboption(tab, ...what) : section.option(...what);
		const fixed = choicesOf(option).length > 0 && !option.list;

		Object.assign(field, behaviour, { schemaKind: kind, schemaOption: option, retain: true, modalonly: true });

		if (option.kind == 'bool' || (fixed && option.default != null))
			field.default = option.default;
		else
			field.placeholder = option.default ?? (option.note?.length > SHORT ? null : plain(option.note)?.replace(/[“”]/g, ''));

		field.rmempty = field.optional = !option.required && (!fixed || option.default == null);
		/* Addresses are shown: nobody could tell a wrong one. */
		field.password = option.secret === true && [ 'text', 'key' ].includes(option.kind);

		for (const choice of choicesOf(option)) {
			const [ text, explanation ] = [ labels?.[choice] ?? choice ].flat();

			field.value(choice, text, explanation ? [ explanation ] : null);

			if (explanation)
				(field.explanations ??= {})[choice] = explanation;
		}

		return Object.assign(field, rest);
	},

	/* Adds every option of a kind that the page has not placed, so that none is out of reach. */
	rest(section, kind, tab) {
		for (const name in schema.sections[kind].options)
			if (!section.getOption(name))
				this.add(section, kind, name, name, { tab: typeof tab == 'function' ? tab(name) : tab });
	},

	/* A column of a grid: `show(section_id)` returns nodes and texts. */
	column(section, name, title, show) {
		const column = section.option(form.DummyValue, name, title);

		column.modalonly = false;
		column.textvalue = sid => E('div', {}, [ show(sid) ].flat(2).filter(each => each != null));

		return column;
	},

	/* The name of a section as NetPath calls it: unnamed ones by their kind and place. */
	nameOf(sid) {
		const section = uci.get(CONFIG, sid);

		if (!section?.['.anonymous'])
			return sid;

		const taken = uci.sections(CONFIG).filter(each => !each['.anonymous']).map(each => each['.name']);
		let name = `${section['.type']}_${names(section['.type']).indexOf(sid) + 1}`;

		while (taken.includes(name))
			name += '_';

		return name;
	},

	/* A field and a button for the name of a new section. `choices`: name -> label, for a picker. */
	adder(section, label, choices) {
		section.renderSectionAdd = function() {
			const message = E('span', { 'class': 'np-hint', 'role': 'status' });
			const list = choices ? E('datalist', { 'id': `np-names-${this.sectiontype}` },
				Object.entries(choices()).map(([ name, text ]) => E('option', { 'value': name }, [ text ]))) : E([]);
			const input = E('input', { 'type': 'text', 'class': 'cbi-section-create-name', 'aria-label': label,
				'placeholder': label, 'maxlength': 64, 'list': choices ? list.id : null, 'disabled': this.map.readonly || null });
			const button = E('button', { 'class': 'cbi-button cbi-button-add', 'type': 'button', 'disabled': '',
				'click': ev => this.handleAdd(ev, input.value) }, [ _('Add') ]);
			const judge = () => {
				const wrong = valid.sectionName(this.sectiontype, input.value, uci.sections(CONFIG).map(each => each['.name']));

				button.disabled = wrong != null || this.map.readonly;
				input.classList.toggle('cbi-input-invalid', input.value != '' && wrong != null);
				message.textContent = input.value != '' && wrong ? wrong : '';
			};

			input.addEventListener('input', judge);
			input.addEventListener('keydown', ev => {
				if (ev.key == 'Enter') {
					ev.preventDefault();
					button.click();
				}
			});

			return E('div', { 'class': 'cbi-section-create cbi-tblsection-create' }, [ E('div', {}, [ input ]), list, button, ' ', message ]);
		};
	},

	/* Problems that the tracker finds in the file: section as it calls it -> [ problem ]. */
	problems() {
		return api.check().then(reply => {
			const found = {};

			for (const problem of reply.problems ?? [])
				(found[problem.section ?? ''] ??= []).push(problem);

			return found;
		});
	},

	/* The problems of a section, each as a paragraph. */
	notes(problems, kind, sid) {
		return (problems[`${kind} ${sid}`] ?? []).map(problem => E('div', {
			'class': `np-note np-${problem.severity == 'error' ? 'bad' : 'busy'}`, 'data-problem': problem.severity
		}, [
			E('span', { 'aria-hidden': 'true' }, [ problem.severity == 'error' ? '✘ ' : '⚠ ' ]),
			(problem.option ? `${problem.option}: ` : '') + problem.message, '. ',
			E('span', { 'class': 'np-hint' }, [ problem.fix ])
		]));
	},

	/* What no row can show: unnamed sections and the whole file. */
	otherNotes(problems) {
		return Object.keys(problems).filter(section => !section.includes(' '))
			.flatMap(section => problems[section])
			.map(problem => parts.notice(problem.severity == 'error' ? 'error' : 'warning', [
				problem.section, problem.line ? _('line %d').format(problem.line) : null, problem.option, problem.message
			].filter(each => each).join(': '), problem.fix));
	},

	/* Heads of pages: what stands in the way, and that one may only look. */
	head(status) {
		return [ parts.obstacle(status), parts.readonlyNotice(),
			this.truncated ? parts.notice('notice', _('There is more than one answer can hold; not all of it is shown.')) : null
		].filter(each => each);
	},

	/* A page: the notices above the form. */
	page(notices, map) {
		return Promise.resolve(map).then(node => E('div', { 'class': 'np-page' }, [ notices, node ]));
	},

	/* The same, kept fresh: every so many seconds ask(), after which status() is the tracker's of now. */
	freshPage(map, problems, status, seconds, ask) {
		const notices = E('div', {});
		const show = () => dom.content(notices, [ ...this.head(status()), ...this.otherNotes(problems) ]);

		poll.add(() => ask().then(show), seconds);
		show();

		return this.page(notices, map.render());
	},

	/* A list of sections that can be added, changed in a dialog, and removed. `given`: title, help; one: what one is called,
	 * none: what is said while there is none; adder, choices: of `adder`; called: its name as it is shown, where that is another. */
	grid(map, kind, { title, help, one, none, adder, choices, called }) {
		const s = map.section(form.GridSection, kind, title, help);

		s.addremove = true;
		s.nodescriptions = true;
		s.modaltitle = sid => `${one} ${called ? called(sid) : sid}`;
		if (called)
			s.sectiontitle = called;
		s.renderSectionPlaceholder = () => E('em', {}, [ none ]);
		this.adder(s, adder, choices);
		s.addModalOptions = (modal, sid) => {
			complain(modal, sid);
		};

		return s;
	},

	link(page, text, sid) {
		return E('a', { 'href': L.url('admin/network/netpath', page) + (sid ? `#cbi-netpath-${sid}` : '') }, [ text ]);
	},

	/* Puts nodes into every place of the page that is marked data-live="KIND NAME". */
	live(kind, show) {
		for (const place of document.querySelectorAll(`[data-live^="${kind} "]`))
			dom.content(place, show(place.dataset.live.slice(kind.length + 1)));
	},

	place(kind, name, content) {
		return E('span', { 'data-live': `${kind} ${name}` }, content);
	}
});
