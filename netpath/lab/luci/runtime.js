// SPDX-License-Identifier: GPL-2.0-or-later
/* A small stand-in of LuCI's client runtime, for NetPath's pages that are not forms. It has what those pages use, and
 * nothing else; ubus calls go to the real rpcd plugin (netpath/lab/web.py). ?user=reader in the address: read-only. */

import { Base, evaluate, requirements } from './classes.js';

const HOME = '/cgi-bin/luci';
const user = new URLSearchParams(location.search).get('user') ?? 'root';
const global_ = { _: text => text, N_: (count, one, many) => count == 1 ? one : many };

function append(node, children) {
	for (const child of [ children ].flat(Infinity))
		if (child !== null && child !== undefined)
			node.append(child instanceof Node ? child : document.createTextNode(String(child)));
	return node;
}

const dom = {
	elem: node => node instanceof Element,
	append,
	content(node, children) {
		node.replaceChildren();
		return append(node, children);
	},
	create: (...given) => E(...given)
};

function E(name, attributes, children) {
	if (Array.isArray(name))
		return append(document.createDocumentFragment(), name);
	const node = document.createElement(name);
	for (const [ key, value ] of Object.entries(attributes ?? {}))
		if (typeof value == 'function')
			node.addEventListener(key, value);
		else if (value !== null && value !== undefined)
			node.setAttribute(key, value);
	return append(node, children ?? []);
}

const poll = {
	queue: [],
	add(task, interval) {
		poll.queue.push({ task, interval: interval ?? 5, idle: true });
		poll.timer ??= setInterval(poll.step, 1000);
	},
	remove: task => poll.queue = poll.queue.filter(each => each.task != task),
	tick: 0,
	step() {
		for (const each of poll.queue)
			if (poll.tick % each.interval == 0 && each.idle) {
				each.idle = false;
				Promise.resolve(each.task()).finally(() => each.idle = true);
			}
		poll.tick++;
	}
};

let serial = 0;
const rpc = {
	declare: ({ object, method, params, expect, reject }) => async (...values) => {
		const given = Object.fromEntries((params ?? []).map((name, at) => [ name, values[at] ]));
		const message = { jsonrpc: '2.0', id: ++serial, method: 'call', params: [ user, object, method, given ] };
		const answer = await fetch(`${HOME}/admin/ubus`, {
			method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(message)
		}).then(response => response.json());
		if (answer.error)
			throw new Error(`${object}/${method} failed with error ${answer.error.code}: ${answer.error.message}`);
		const [ code, reply ] = answer.result;
		if (code && reject)
			throw new Error(`${object}/${method} failed with ubus code ${code}`);
		const [ key ] = Object.keys(expect ?? { '': {} });
		return (key ? reply?.[key] : reply) ?? expect?.[key] ?? reply;
	}
};

const ui = {
	showModal(title, children) {
		ui.hideModal();
		document.body.append(E('div', { 'id': 'modal_overlay' }, [
			E('div', { 'class': 'modal', 'role': 'dialog', 'aria-modal': 'true' }, [ E('h4', {}, title), children ]) ]));
	},
	hideModal: () => document.getElementById('modal_overlay')?.remove(),
	addNotification(title, children, ...classes) {
		document.getElementById('notifications').append(E('div', { 'class': [ 'alert-message', ...classes ].join(' ') },
			[ title === null ? [] : E('h4', {}, title), children ]));
	},
	createHandlerFn: (self, task, ...values) => event => (typeof task == 'string' ? self[task] : task).call(self, ...values, event)
};

const L = {
	env: { sessionid: user },
	bind: (task, self, ...values) => task.bind(self, ...values),
	hasViewPermission: () => user != 'reader',
	isObject: value => value !== null && typeof value == 'object',
	resource: path => `/luci-static/resources/${path}`,
	resolveDefault: (value, otherwise) => Promise.resolve(value).catch(() => otherwise),
	toArray: value => value === null || value === undefined ? [] : Array.isArray(value) ? value : [ value ],
	url: (...parts) => [ HOME, ...parts ].join('/') + (user == 'root' ? '' : location.search)
};

const View = Base.extend({
	async __init__() {
		const place = document.getElementById('view');
		dom.content(place, [ E('em', { 'class': 'spinning' }, [ 'Loading view…' ]) ]);
		dom.content(place, [ await this.render(await this.load()) ]);
	},
	load: () => null
});

const modules = { baseclass: Base, dom, poll, rpc, ui, view: View };

async function load(name) {
	modules[name] ??= (async () => {
		const response = await fetch(L.resource(`${name.replaceAll('.', '/')}.js`));
		if (!response.ok)
			throw new Error(`the stand-in has no module ${name}: this page needs the real LuCI`);
		const source = await response.text(), required = {};
		for (const { module, as } of requirements(source))
			required[as] = await load(module);
		return new (evaluate(source, required, { ...global_, E, L }))();
	})();
	return modules[name];
}

function tabs(menu, path) {
	for (let depth = 3; depth < path.length + 1; depth++) {
		const parent = path.slice(0, depth).join('/');
		const entries = Object.entries(menu)
			.filter(([ key ]) => key.startsWith(`${parent}/`) && !key.slice(parent.length + 1).includes('/'))
			.sort((a, b) => a[1].order - b[1].order);
		if (entries.length)
			document.getElementById('tabmenu').append(E('ul', { 'class': 'tabs' }, entries.map(([ key, entry ]) =>
				E('li', { 'class': path.join('/').startsWith(key) ? 'active' : '' }, [ E('a', { 'href': L.url(key) }, [ entry.title ]) ]))));
	}
}

async function widget() {
	const include = await load('view.status.include.35_netpath');
	const place = E('div', {});
	document.getElementById('view').append(E('h3', {}, [ include.title ]), place);
	const show = async () => dom.content(place, [ include.render(await include.load()) ]);
	poll.add(show, 5);
	await show();
}

async function main() {
	const darkness = matchMedia('(prefers-color-scheme: dark)');
	const shade = () => document.documentElement.setAttribute('data-darkmode', darkness.matches);
	darkness.addEventListener('change', shade);
	shade();
	const menu = await fetch('/stand-in/menu.json').then(response => response.json());
	let path = location.pathname.slice(HOME.length + 1).split('/');
	if (path.join('/') == 'admin/status/overview')
		return widget();
	while (menu[path.join('/')]?.action.type == 'firstchild') {
		const inside = Object.keys(menu).filter(key => key.startsWith(`${path.join('/')}/`)).sort((a, b) => menu[a].order - menu[b].order);
		path = inside[0].split('/');
	}
	tabs(menu, path);
	await load(`view.${menu[path.join('/')].action.path.replaceAll('/', '.')}`);
}

main().catch(error => dom.content(document.getElementById('view'), [ E('p', { 'class': 'alert-message error' }, [ error.message ]) ]));
