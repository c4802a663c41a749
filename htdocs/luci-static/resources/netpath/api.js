// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require rpc';

/* Arguments of each method of the ubus object, in docs/ubus.md. */
const METHODS = {
	status: [ 'section', 'interface' ],
	interfaces: [ 'offset', 'limit' ],
	policies: [ 'offset', 'limit' ],
	rules: [ 'offset', 'limit' ],
	connected: [ 'offset', 'limit' ],
	metrics: [],
	history: [ 'interface', 'since', 'coarse', 'limit' ],
	events: [ 'since', 'before', 'limit' ],
	enable: [ 'interface' ],
	disable: [ 'interface' ],
	reload: [],
	check: [],
	config: [],
	diag: [],
	import: [],
	explain: [ 'src', 'dst', 'proto', 'sport', 'dport', 'iface', 'mac', 'dscp' ],
	monitor: [ 'history', 'since' ],
	bond: [ 'name' ],
	bond_genkey: [ 'name' ],
	version: [],
	internal: [ 'family' ]
};

/* What rpcd's own failures mean to a user; the numbers are those of ubus and of uhttpd's JSON-RPC. */
function failure(method, error) {
	const text = String(error?.message ?? error);
	if (/-32002|code 6\b|denied/i.test(text))
		return { error: _('You are not allowed to ask NetPath for this.'), denied: true,
			remedy: _('Log in as a user whose access rights include NetPath.') };
	if (/-32000|code [24]\b|not found/i.test(text))
		return { error: _('The ubus object netpath is not there.'), running: false,
			remedy: '/etc/init.d/rpcd reload' };
	return { error: _('No answer to %s: %s').format(method, text), remedy: _('Check the connection to the router.'),
		unreachable: true };
}

const calls = {};

/* method({ name: value }) -> a reply that is always an object, and never a rejection: failures have `error`, mostly with
 * `remedy`; `running` is false when no tracker runs. */
for (const [ method, params ] of Object.entries(METHODS)) {
	const call = rpc.declare({ object: 'netpath', method, params, reject: true });
	calls[method] = given => call(...params.map(name => given?.[name]))
		.then(reply => L.isObject(reply) ? reply : failure(method, _('an empty reply')))
		.catch(error => failure(method, error));
}

return baseclass.extend(calls);
