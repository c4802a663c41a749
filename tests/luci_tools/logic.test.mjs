// SPDX-License-Identifier: GPL-2.0-or-later
/* The logic of the pages under Tools, in node: node --test tests/luci_tools */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { load } from './modules.mjs';

const secrets = load('netpath.secrets'), native = load('netpath.native'), question = load('netpath.question'), report = load('netpath.report');
const NOTHING_ELSE = { macs: false, addresses: false, names: false };

/* Text with a secret -> what must not be left of it. */
const LEAKS = [
	[ "option password 'hunter22'", 'hunter22' ],
	[ "\toption  wpa_psk\t'two words'", 'words' ],
	[ "option key 'a'\\''bcd efg'", 'bcd' ],
	[ "option key 'a'\\''bcd efg'", 'efg' ],
	[ 'list private_key "dou ble"', 'ble' ],
	[ 'option key plainword', 'plainword' ],
	[ "option key 'never ends", 'ends' ],
	[ 'option "password" "esc\\"aped"', 'aped' ],
	[ "network.wan.password='hunter22'", 'hunter22' ],
	[ "wireless.@wifi-iface[0].key='one two'", 'two' ],
	[ "x.y.key='one' 'second one'", 'second' ],
	[ 'psk=ab,cd;ef gh', 'gh' ],
	[ 'Password: correct horse', 'horse' ],
	[ '{"auth_token": "abc\\"def", "a": 1}', 'def' ],
	[ 'passphrase = "it"', '"it"' ],
	[ 'curl --password hunter22 x', 'hunter22' ],
	[ 'pppd user x password hunter22', 'hunter22' ],
	[ 'https://someone:hunter22@host.example/', 'hunter22' ],
	[ 'https://so:me@on:e@host.example/', 'on:e' ],
	[ 'https://host.example/?token=abcdef&x=1', 'abcdef' ],
	[ 'Authorization: Bearer abc.def', 'def' ],
	[ '-----BEGIN PRIVATE KEY-----\nMIIE\nabcd\n-----END PRIVATE KEY-----', 'abcd' ],
	[ '-----BEGIN PRIVATE KEY-----\nMIIE\ncut', 'cut' ],
	[ 'peer yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk= up', 'yAnz5TF' ],
	[ 'x=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=', 'yAnz5TF' ],
	[ 'psk 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', '0123456789abcdef' ],
	[ "option sae_password 'hunter22'\nlater it says hunter22 again", 'hunter22' ],
	[ "before hunter22\noption password 'hunter22'", 'hunter22' ],
	[ "option secret_key_file 'abcdef'", 'abcdef' ]
];
/* The same for what can be switched on and off. */
const CHOSEN = {
	names: [
		[ "option username 'me@isp.example'", 'isp' ], [ "option ssid 'Our House'", 'House' ], [ 'ESSID: "Our House"', 'House' ],
		[ "wireless.x.ssid='Our House'\nit is Our House", 'House' ], [ 'mail me@isp.example', 'me@' ], [ "option identity 'abcdef'", 'abcdef' ]
	],
	macs: [
		[ 'ether 02:11:22:33:44:55 x', '22:33' ], [ '02-11-22-33-44-55', '22-33' ], [ '0211.2233.4455', '2233' ], [ '02:AA:BB:33:44:55', 'BB' ],
		[ 'fe80::11:22ff:fe33:4455/64', '4455' ], [ 'fd00:1:2:3:11:22ff:fe33:4455', '4455' ]
	],
	addresses: [
		[ '203.0.113.7/24', '203.0' ], [ '203.0.113.7.443 > 192.0.2.1', '203.0' ], [ 'ppp-203-0-113-7.isp', '203-0' ], [ '198.51.100.1-198.51.100.9', '198.51' ],
		[ '2001:db8::1', 'db8' ], [ '[2001:db8::1]:443', 'db8' ], [ 'src:2001:db8::1,', 'db8' ], [ 'to 2001:db8:1:2::/64.', 'db8' ], [ '2001:DB8::1: x', 'DB8' ],
		[ '::ffff:203.0.113.7', '203' ], [ '64:ff9b::cb00:7107', 'cb00' ], [ 'a 2001:db8:1:2:3:4:5:6%eth0', 'db8' ], [ 'x_2001:db8::1', 'db8' ]
	]
};
const KEPT = [
	'192.168.1.1 10.0.0.1 172.31.0.1 100.64.0.1 169.254.1.1 127.0.0.1 0.0.0.0/0 224.0.0.1 255.255.255.255', 'fe80::1 fd00::1 ff02::1 ::1 ::/0',
	'8.8.8.8 1.1.1.1 2606:4700:4700::1111', 'kernel 6.18.0, nftables 1.0.2, at 12:30:45', '00:00:00:00:00:00 ff:ff:ff:ff:ff:ff', 'meta mark & 0x00003f00 != 0',
	'policy balanced, ipv4: wan 75 %, wanb 25 %', 'type ipv4_addr . inet_service : verdict', "option track_method 'ping'", 'iifname "eth1" counter packets 12 bytes 345'
];

test('passwords and keys are masked whatever else is not', () => {
	for (const [ text, secret ] of LEAKS)
		for (const choices of [ {}, NOTHING_ELSE ])
			assert.ok(!secrets.mask(text, choices).includes(secret), `${text} -> ${secrets.mask(text, choices)}`);
});

test('what can be chosen is masked by default, and only when it is chosen', () => {
	for (const [ choice, cases ] of Object.entries(CHOSEN))
		for (const [ text, secret ] of cases) {
			assert.ok(!secrets.mask(text).includes(secret), `${text} -> ${secrets.mask(text)}`);
			assert.ok(!secrets.mask(text, { ...NOTHING_ELSE, [choice]: true }).includes(secret), `${choice} alone: ${text}`);
			assert.equal(secrets.mask(text, NOTHING_ELSE), text);
		}
});

test('what is nobody\'s secret stays', () => {
	for (const text of KEPT)
		assert.equal(secrets.mask(text), text);
});

test('secrets in any place of a long line and of any shape are gone', () => {
	const shapes = [ word => `'${word}'`, word => `"${word}"`, word => word ];
	const names = [ 'password', 'key', 'psk', 'wpa_key1', 'client-secret', 'api_token', 'PrivateKey', 'auth_pass', 'pin' ];
	const frames = [ (name, value) => `option ${name} ${value}`, (name, value) => `a.b.${name}=${value}`, (name, value) => `x: option ${name} ${value}: unknown`,
		(name, value) => `${name}: ${value}`, (name, value) => `  "${name}" : ${value},`, (name, value) => `${name}\t=\t${value}` ];
	for (const name of names)
		for (const shape of shapes)
			for (const frame of frames) {
				const text = frame(name, shape('S3cr3t/x+y'));
				assert.ok(!secrets.mask(`head\n${text}\ntail`).includes('S3cr3t'), text);
				assert.match(secrets.mask(`head\n${text}\ntail`), /^head\n[^]*\ntail$/);
			}
});

test('one address has one stand-in, and its network can be told', () => {
	const [ a, b, c ] = secrets.mask('203.0.113.7/24 203.0.113.1 198.51.100.1').split(' ');
	assert.equal(a.split('.')[0], b.split('.')[0]);
	assert.notEqual(a.split('.')[0], c.split('.')[0]);
	const [ host, net ] = secrets.mask('2001:db8:1:2::5/64 2001:db8:1:2::/64').split(' ');
	assert.ok(host.startsWith(net.split('>')[0]));
});

test('masking a masked text changes nothing', () => {
	for (const [ text ] of [ ...LEAKS, ...Object.values(CHOSEN).flat() ])
		assert.equal(secrets.mask(secrets.mask(text)), secrets.mask(text), text);
});

test('it ends soon, whatever the text', () => {
	for (const text of [ "'".repeat(20000), 'a:'.repeat(10000), 'option key '.repeat(3000), '"\\'.repeat(10000), '1.'.repeat(10000), 'a'.repeat(50000), 'x=\\'.repeat(5000) ]) {
		const begun = process.cpuUsage().user;
		secrets.mask(text);
		assert.ok(process.cpuUsage().user - begun < 20e6, text.slice(0, 20));
	}
});

const REPLIES = {
	version: { version: '0.1.0', kernel: '6.18.0' },
	status: { interfaces: { wan: { status: 'online', family: 'ipv4', device: 'eth1', gateway: '203.0.113.1', addresses: [ '203.0.113.7/24' ],
		latency: 9.5, packetloss: null, reason: '', track_ip: [ { ip: '192.0.2.1', status: 'up' } ] } }, policies: { ipv4: { balanced: [ { interface: 'wan', percent: 100 } ] } } },
	diag: { checks: [ { topic: 'link', status: 'error', message: 'wan is down', remedy: 'check cable' }, { topic: 'system', status: 'ok', message: 'fine', remedy: '' } ] },
	check: { problems: [ { severity: 'error', file: '/etc/config/netpath', line: 3, section: 'interface wan', option: 'password', value: 'my own secret',
		message: 'unknown option; my own secret is not used', fix: 'remove it' } ] },
	events: { events: [ { seq: 1, time: 1700000000, kind: 'interface', interface: 'wan', from: 'online', to: 'offline', reason: 'carrier lost' } ] },
	internal: { versions: { netpath: '0.1.0' }, addresses: [ '203.0.113.7/24 dev eth1' ], 'ruleset as loaded': 'table inet netpath {\n}\n' }
};
const SECTIONS = [ { '.type': 'interface', '.name': 'wan', '.anonymous': false, ifname: 'eth1', track_targets: [ '192.0.2.1' ], password: 'a\nlong secret' },
	{ '.type': 'rule', '.name': 'cfg1', '.anonymous': true, policy: "o'clock" },
	{ '.type': 'notify', '.name': 'chat', '.anonymous': false, type: 'webhook', url: 'https://chat.example.com/hooks/onlyIKnow', events: 'online' },
	{ '.type': 'source', '.name': 'proxy', '.anonymous': false, type: 'clash', url: 'ws://192.0.2.1:9090/connections?token=onlyITell' } ];

test('the report has every part and no secret', () => {
	const text = report.troubleshooting(REPLIES, SECTIONS, {}, new Date(0));
	for (const part of [ 'wan  online  ipv4  eth1', 'policy balanced, ipv4: wan 100 %', 'ERROR', 'wan is down -> check cable', 'online -> offline  carrier lost',
		"config interface 'wan'", 'table inet netpath {', 'option password', "config rule\n\toption policy 'o'\\''clock'" ])
		assert.ok(text.includes(part), part);
	for (const secret of [ '203.0.113', 'my own secret', 'long secret', 'onlyIKnow', 'onlyITell' ])
		assert.ok(!text.includes(secret), `${secret} in ${text}`);
});

test('what failed is said, and the rest is there', () => {
	const text = report.troubleshooting({ ...REPLIES, internal: { error: 'NetPath is not running', remedy: '/etc/init.d/netpath start' }, diag: null }, null, {}, new Date(0));
	for (const part of [ 'error: NetPath is not running', 'remedy: /etc/init.d/netpath start', 'not asked', 'it cannot be read', 'online -> offline' ])
		assert.ok(text.includes(part), part);
});

test('findings are counted and grouped', () => {
	assert.deepEqual(report.count(REPLIES.diag.checks, 'status'), { error: 1, warning: 0, ok: 1 });
	assert.deepEqual(report.topics(REPLIES.diag.checks).map(([ name ]) => name), [ 'link', 'system' ]);
	assert.equal(report.worst([ { status: 'ok' }, { status: 'warning' } ]), 'warning');
	assert.match(report.diagnosis(REPLIES.diag, new Date(0)), /1 errors, 0 warnings\n\nERROR {2}link /);
});

test('NetPath\'s own text is read back as it was meant, in both directions', () => {
	const text = execFileSync('python3', [ '-c', `
from pathlib import Path; import sys, tempfile
from netpath.config import import_mwan3
print(import_mwan3(Path(sys.argv[1])).text, end="")`, 'tests/unit/config/data/mwan3-wiki.uci' ], { encoding: 'utf-8', cwd: new URL('../..', import.meta.url) });
	const sections = native.parse(text);
	assert.deepEqual(sections.find(section => section.name == 'balanced').options.members, [ 'wan_m1_w3', 'wan2_m1_w2' ]);
	const back = native.text(sections.map(each => ({ '.type': each.type, '.name': each.name, '.anonymous': each.name == null, ...each.options })));
	assert.equal(back, text);
	assert.deepEqual(native.parse("config rule\n\toption x 'a'\\''b'\n"), [ { type: 'rule', name: null, options: { x: "a'b" } } ]);
	for (const bad of [ 'option x 1', "\toption x 'y'", "config rule 'x", "config rule\n\toption x 'y' z" ])
		assert.throws(() => native.parse(bad), /line \d/);
});

test('an import replaces every section, and switches on only when it is told to', () => {
	const calls = [];
	const uci = { sections: () => [ { '.name': 'globals' }, { '.name': 'old' } ], remove: (...given) => calls.push([ 'remove', ...given ]),
		add: (config, type, name) => (calls.push([ 'add', type, name ]), name ?? 'new'), set: (...given) => calls.push([ 'set', ...given ]) };
	native.replace(uci, 'netpath', native.parse("config interface 'wan'\n\toption enabled '1'\n"), false);
	assert.deepEqual(calls, [ [ 'remove', 'netpath', 'globals' ], [ 'remove', 'netpath', 'old' ], [ 'add', 'globals', 'globals' ],
		[ 'set', 'netpath', 'globals', 'enabled', '0' ], [ 'add', 'interface', 'wan' ], [ 'set', 'netpath', 'wan', 'enabled', '1' ] ]);
});

test('a question survives an address', () => {
	const given = { src: '192.0.2.7', dst: '2001:db8::1', proto: 'udp', dport: '53', iface: 'br-lan', dscp: 'ef' };
	assert.deepEqual(question.fromHash('#' + question.toHash(given)), given);
	assert.equal(question.fromHash('#nothing=1'), null);
	assert.equal(question.toHash({ src: ' ', dst: 'x' }), 'dst=x');
	assert.deepEqual(question.remembered([ 'a', 'b' ], 'b'), [ 'b', 'a' ]);
	assert.equal(question.remembered([ ...'abcdefghijk' ], 'z').length, 8);
	assert.deepEqual(question.remembered('nonsense', 'a'), [ 'a' ]);
});

test('a question is what the router wants, or is refused at its field', () => {
	assert.deepEqual(question.read({ src: ' 192.0.2.7', dst: '198.51.100.1', dport: '443', dscp: 'AF41', mac: '02:AA:00:00:00:01' }),
		{ errors: {}, request: { src: '192.0.2.7', dst: '198.51.100.1', proto: 'tcp', dport: 443, dscp: 34, mac: '02:aa:00:00:00:01' } });
	assert.deepEqual(question.read({ src: '::1', dst: '2001:db8::1', proto: 'icmp', dport: 'x' }).request, { src: '::1', dst: '2001:db8::1', proto: 'icmp' });
	const bad = { src: '192.0.2', dst: 'www.example.com', proto: '300', dport: '65536', sport: '-1', iface: 'far too long a name', mac: '02', dscp: '64' };
	assert.deepEqual(Object.keys(question.read({ ...bad, proto: 'tcp' }).errors).sort(), [ 'dport', 'dscp', 'dst', 'iface', 'mac', 'sport', 'src' ]);
	assert.deepEqual(Object.keys(question.read({ src: '192.0.2.7', dst: '::1', proto: '300' }).errors), [ 'dst', 'proto' ]);
	assert.equal(question.blamed("src '192.0.2' is not an address"), 'src');
	assert.equal(question.blamed('nothing is configured yet'), null);
});

test('addresses are told from what only looks like them', () => {
	for (const good of [ '::', '::1', '1::', '2001:db8:1:2:3:4:5:6', '::ffff:192.0.2.1' ])
		assert.equal(question.version(good), 6, good);
	for (const bad of [ '1.2.3', '1.2.3.256', '01.2.3.4', ':', ':::', '1:2', '1::2::3', '12345::', '1:2:3:4:5:6:7:8:9', '::ffff:1.2.3', 'fe80::1%eth0', '' ])
		assert.equal(question.version(bad), null, bad);
});
