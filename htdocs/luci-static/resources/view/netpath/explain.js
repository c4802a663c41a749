// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require view';
'require netpath.api as api';
'require netpath.criteria as criteria';
'require netpath.parts as parts';
'require netpath.question as question';
'require netpath.tools as tools';

const MEMORY = 'netpath.questions';

/* Name, label, example, hint, values to choose from. */
function fields() {
	return [
		[ 'src', _('Source address'), '192.0.2.7', _('The client, or an address of the router') ],
		[ 'dst', _('Destination address'), '198.51.100.1', _('An address; names are not looked up') ],
		[ 'proto', _('Protocol'), 'tcp', _('Name or number'), [ 'tcp', 'udp', 'icmp', 'ipv6-icmp', 'sctp', 'esp', 'gre' ] ],
		[ 'dport', _('Destination port'), '443', '' ],
		[ 'sport', _('Source port'), '', _('Hardly any rule asks for it') ],
		[ 'iface', _('Incoming device'), 'br-lan', _('Empty: none that a rule names') ],
		[ 'mac', _('Hardware address'), '02:00:00:00:00:01', _('Of the client') ],
		[ 'dscp', 'DSCP', 'ef', _('0 to 63, or a name') ]
	];
}

function link(page, name) {
	return E('a', { 'href': L.url('admin/network/netpath', page) }, [ name ]);
}

return view.extend({
	render() {
		tools.style();
		this.inputs = {};
		this.errors = {};
		this.result = E('div', { 'aria-live': 'polite' });
		this.last = E('div');
		const form = E('form', { 'class': 'cbi-section', 'novalidate': 'novalidate', 'submit': event => {
			event.preventDefault();
			this.ask(this.given());
		} }, [
			E('div', { 'class': 'npt-form' }, fields().map(each => this.field(...each))),
			E('div', { 'class': 'npt-buttons' }, [
				E('button', { 'type': 'submit', 'class': 'btn cbi-button cbi-button-action important', 'data-action': 'ask' }, [ _('Explain') ])
			])
		]);
		this.inputs.proto.addEventListener('input', () => this.ports());
		window.addEventListener('hashchange', () => this.fromAddress());
		this.showLast();
		this.fromAddress();
		return E('div', {}, [
			E('h2', {}, [ _('Explain') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('Where would a new connection go, and why? Nothing is sent. The address of this page holds the question, so it can be passed on.') ]),
			form, this.result, this.last
		]);
	},

	field(name, label, example, hint, values) {
		const id = 'npt-' + name;
		this.inputs[name] = E('input', { 'type': 'text', 'class': 'cbi-input-text', 'id': id, 'name': name, 'placeholder': example,
			'autocomplete': 'off', 'autocapitalize': 'none', 'spellcheck': 'false', 'aria-describedby': id + '-error',
			'list': values ? id + '-values' : null });
		this.errors[name] = E('div', { 'class': 'npt-error', 'id': id + '-error', 'role': 'alert' });
		return E('div', {}, [
			E('label', { 'for': id }, [ label ]), this.inputs[name],
			values ? E('datalist', { 'id': id + '-values' }, values.map(value => E('option', { 'value': value }))) : '',
			hint ? E('small', {}, [ hint ]) : '', this.errors[name]
		]);
	},

	given() {
		return Object.fromEntries(question.FIELDS.map(name => [ name, this.inputs[name].value ]));
	},

	/* Only some protocols have ports. */
	ports() {
		for (const name of [ 'sport', 'dport' ])
			this.inputs[name].disabled = !question.hasPorts(this.inputs.proto.value.trim());
	},

	fromAddress() {
		const given = question.fromHash(location.hash);
		if (given == null || question.toHash(given) == this.asked)
			return;
		for (const name of question.FIELDS)
			this.inputs[name].value = given[name] ?? '';
		this.ask(given);
	},

	complain(errors) {
		for (const name of question.FIELDS) {
			dom.content(this.errors[name], errors[name] ? [ errors[name] ] : []);
			this.inputs[name].classList.toggle('cbi-input-invalid', !!errors[name]);
			this.inputs[name].setAttribute('aria-invalid', errors[name] ? 'true' : 'false');
		}
		const first = question.FIELDS.find(name => errors[name]);
		if (first)
			this.inputs[first].focus();
		return !first;
	},

	async ask(given) {
		this.ports();
		const { errors, request } = question.read(given);
		if (!this.complain(errors)) {
			dom.content(this.result, []);
			return;
		}
		this.asked = question.toHash(given);
		history.replaceState(null, '', '#' + this.asked);
		dom.content(this.result, [ E('p', { 'class': 'spinning' }, [ _('Asking…') ]) ]);
		const asked = this.asked, reply = await api.explain(request);
		if (asked == this.asked)
			this.show(given, reply);
	},

	show(given, reply) {
		const blamed = reply.error && reply.running !== false ? question.blamed(reply.error) : null;
		if (blamed)
			this.complain({ [blamed]: reply.error });
		dom.content(this.result, reply.error ? (blamed ? [] : [ parts.obstacle(reply) ]) : this.answer(given, reply));
		if (!reply.error)
			this.remember();
	},

	answer(given, reply) {
		return [
			E('h3', {}, [ question.words(given) ]),
			E('p', { 'data-verdict': '' }, [ E('strong', {}, [ this.verdict(reply) ]) ]),
			this.way(given, reply),
			E('h4', {}, [ _('Why') ]),
			E('ol', { 'class': 'npt-list', 'data-why': '' }, (reply.why ?? []).map(sentence => E('li', {}, [ String(sentence) ]))),
			...this.shares(reply.shares ?? []),
			...this.rejected(reply.rejected ?? [])
		];
	},

	verdict(reply) {
		if (reply.uplink)
			return _('It leaves by the uplink %s.').format(reply.uplink);
		if (reply.shares?.length)
			return _('It leaves by one of %s.').format(reply.shares.map(each => each.interface).join(', '));
		if (reply.device)
			return _('It leaves by the device %s; NetPath does not decide this.').format(reply.device);
		return _('It goes nowhere.');
	},

	way(given, reply) {
		const step = (title, content) => content ? E('li', {}, [ E('small', {}, [ title ]), content ]) : '';
		return E('ol', { 'class': 'npt-way' }, [
			step(_('Source'), E('span', {}, [ given.src ])),
			step(_('Rule'), reply.rule ? link('rules', reply.rule) : E('em', {}, [ _('none') ])),
			step(_('Policy'), reply.policy ? link('policies', reply.policy) : E('em', {}, [ _('none') ])),
			step(_('Uplink'), reply.uplink ? link('interfaces', reply.uplink)
				: reply.shares?.length ? E('em', {}, [ _('one of %d').format(reply.shares.length) ]) : E('em', {}, [ _('none') ])),
			step(_('Device'), reply.device ? E('span', {}, [ reply.device ]) : null),
			step(_('Gateway'), reply.gateway ? E('span', {}, [ reply.gateway ]) : null),
			step(_('Destination'), E('span', {}, [ given.dst ]))
		].filter(each => each));
	},

	shares(shares) {
		return shares.length ? [
			E('h4', {}, [ _('Shares of new connections') ]),
			...shares.map(each => E('div', { 'class': 'npt-share' }, [
				link('interfaces', each.interface),
				E('div', { 'class': 'npt-bar', 'aria-hidden': 'true' }, [ E('span', { 'style': 'width:%d%%'.format(each.percent) }) ]),
				E('span', {}, [ _('%d %%').format(each.percent) ])
			]))
		] : [];
	},

	rejected(rejected) {
		return rejected.length ? [
			E('details', { 'open': rejected.length <= 10 ? 'open' : null }, [
				E('summary', {}, [ N_(rejected.length, '%d rule above it does not match', '%d rules above it do not match').format(rejected.length) ]),
				E('ul', { 'class': 'npt-list' }, rejected.map(each => E('li', {}, [ link('rules', each.rule), ': ', criteria.title(each.criterion) ])))
			])
		] : [];
	},

	/* For as long as this tab is open, as they name clients. */
	memory() {
		try {
			return JSON.parse(sessionStorage.getItem(MEMORY)) ?? [];
		}
		catch {
			return [];
		}
	},

	remember() {
		try {
			sessionStorage.setItem(MEMORY, JSON.stringify(question.remembered(this.memory(), this.asked)));
		}
		catch {
			return;
		}
		this.showLast();
	},

	showLast() {
		const last = question.remembered(this.memory(), '').filter(hash => question.fromHash(hash));
		dom.content(this.last, last.length ? [
			E('h4', {}, [ _('Last questions') ]),
			E('div', { 'class': 'npt-last' }, last.map(hash => E('a', { 'class': 'btn', 'href': '#' + hash }, [ question.words(question.fromHash(hash)) ])))
		] : []);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
