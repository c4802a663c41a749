// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require ui';
'require netpath.format as format';
'require netpath.graph as graph';
'require netpath.readings as readings';

/* What the pages Monitor and Bonding do alike: both ask every second, and show a program that need not be there. */

/* LuCI's pages for packages, of its releases. */
const PACKAGE_PAGES = [ 'package-manager', 'opkg' ];
const PACKAGES = 'admin/system/';

function button(href, text, kind) {
	return E('a', { 'class': `btn cbi-button ${kind ?? ''}`, 'href': href }, [ text ]);
}

function paragraph(text) {
	return E('p', { 'class': 'np-small' }, [ text ]);
}

return baseclass.extend({
	/* Seconds that a graph shows, at most and at least. */
	SPAN: 600,
	LEAST: 60,

	button,

	/* The page on which a package can be installed; null where LuCI has none for this user. */
	async packagePage(name) {
		const menu = await L.resolveDefault(ui.menu?.load(), null);
		const pages = menu?.children?.admin?.children?.system?.children ?? {};
		const page = PACKAGE_PAGES.find(each => pages[each]?.satisfied);
		return page ? `${L.url(PACKAGES + page)}?query=${name}` : null;
	},

	/* Completes the notice on why there is nothing new. known: something older is shown; packages: of packagePage(). */
	complete(notice, { state, reply, known, packages }) {
		const error = readings.text(reply?.error);
		if (error && state == 'stopped')
			notice.append(paragraph(error));
		if (known)
			notice.append(paragraph(_('This is what was last known.')));
		if (state == 'missing' && packages)
			notice.append(E('p', {}, [ button(packages, _('Go to the packages'), 'cbi-button-action') ]));
		return notice;
	},

	/* A graph of two directions, in bits a second. */
	chart(hint, up, down) {
		const moment = epoch => new Date(epoch * 1000).toLocaleTimeString();
		return graph.create({ name: 'traffic', title: _('Traffic'), hint, up, down, least: 10000, most: null, factor: 8,
			show: figure => format.rate(figure), moment });
	},

	/* Names with commas between them, each leading to its card: go(name) -> the card, or nothing. */
	names(list, go) {
		const lead = (event, name) => {
			const card = go(name);
			event.preventDefault();
			card?.scrollIntoView({ block: 'center' });
			card?.focus({ preventScroll: true });
		};
		return list.flatMap((name, at) => [ at ? ', ' : '', E('a', { 'href': '#', 'data-to': name, 'click': event => lead(event, name) }, [ name ]) ]);
	}
});
