// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require view';
'require netpath.api as api';
'require netpath.parts as parts';
'require netpath.report as report';
'require netpath.tools as tools';

/* Topic of the tracker's checks -> what it is about, in the order in which one would look. */
function topic(name) {
	switch (name) {
	case 'configuration': return _('Configuration');
	case 'tracker': return _('Tracker');
	case 'link': return _('Links');
	case 'gateway': return _('Gateways');
	case 'tracking': return _('Tracking');
	case 'routes': return _('Routes and routing rules');
	case 'rules': return _('Ruleset');
	case 'domains': return _('Rules by domain name');
	case 'conflicts': return _('Conflicts with other programs');
	case 'scripts': return _('Scripts at changes');
	case 'system': return _('System');
	default: return String(name);
	}
}

return view.extend({
	render() {
		tools.style();
		this.result = E('div', { 'aria-live': 'polite' });
		this.run();
		return E('div', {}, [
			E('h2', {}, [ _('Diagnostics') ]),
			E('div', { 'class': 'cbi-map-descr' }, [ _('Gateways, tracking, routes, rules and conflicts: what is wrong, and what to do about it.') ]),
			E('div', { 'class': 'npt-buttons' }, [
				tools.button(_('Run again'), () => this.run(), { kind: 'action', name: 'run' }),
				tools.copyButton(() => this.reply ? report.diagnosis(this.reply, this.when) : '')
			]),
			this.result
		]);
	},

	async run() {
		dom.content(this.result, [ E('p', { 'class': 'spinning' }, [ _('Looking…') ]) ]);
		this.show(await api.diag());
	},

	show(reply) {
		this.reply = reply;
		this.when = new Date();
		dom.content(this.result, reply.error ? [ parts.obstacle(reply) ] : [ this.summary(reply.checks), ...this.groups(reply.checks) ]);
	},

	summary(checks) {
		const count = report.count(checks, 'status');
		const text = count.error + count.warning ? tools.counts(count) : _('Everything is as it should be.');
		return parts.notice(count.error ? 'error' : count.warning ? 'warning' : 'success',
			_('%s (at %s)').format(text, this.when.toLocaleTimeString()));
	},

	groups(checks) {
		return report.topics(checks).map(([ name, found ]) => E('section', { 'class': 'npt-topic', 'data-topic': name }, [
			E('h3', {}, [ topic(name), ' ', tools.status(report.worst(found)) ]),
			...found.map(check => E('div', { 'class': 'npt-check' }, [
				E('div', {}, [ tools.status(check.status) ]),
				E('div', {}, [ String(check.message) ]),
				check.remedy ? E('div', { 'class': 'npt-remedy' }, [ E('strong', {}, [ _('What to do:') ]), ' ', String(check.remedy) ]) : ''
			]))
		]));
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
