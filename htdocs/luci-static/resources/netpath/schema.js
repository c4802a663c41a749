// SPDX-License-Identifier: GPL-2.0-or-later
// Printed by `python -m netpath.config.luci` from the table that NetPath's readers use; do not edit it.
/* eslint-disable no-useless-escape */
'use strict';
'require baseclass';

return baseclass.extend({
	sections: {
		globals: {
			help: _('Settings of the whole program.'),
			options: {
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether NetPath does anything at all.')
				},
				nft_table: {
					kind: 'nft_table',
					names: [ 'nft_table' ],
					default: 'netpath',
					help: _('Name of the nftables table (family inet) that holds everything.')
				},
				mark_mask: {
					kind: 'mask',
					names: [ 'mark_mask', 'mmx_mask' ],
					mwan3: 'mmx_mask',
					default: '0x3F00',
					help: _('Bits of packet and connection marks that NetPath may use: one run of at least 3. The default holds 60 interfaces, 8 bits hold 252.')
				},
				rule_priority: {
					kind: 'whole',
					names: [ 'rule_priority' ],
					default: '6000',
					range: [ 1000, 31000 ],
					help: _('First of the 1000 ip rule priorities that NetPath uses.')
				},
				rt_table_lookup: {
					kind: 'tables',
					names: [ 'rt_table_lookup' ],
					list: true,
					commas: true,
					note: _('main only'),
					help: _('Routing tables, beside main, whose specific routes win over every rule. Numbers, or main, default, local.')
				},
				logging: {
					kind: 'bool',
					names: [ 'logging' ],
					default: '0',
					help: _('Let rules with `logging` write to the kernel log.')
				},
				loglevel: {
					kind: 'choice',
					names: [ 'loglevel' ],
					default: 'notice',
					choices: [ 'emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug' ],
					spellings: { 'err': 'error', 'warn': 'warning' },
					help: _('How much NetPath itself logs.')
				},
				dns_failover: {
					kind: 'bool',
					names: [ 'dns_failover' ],
					default: '1',
					help: _('The router asks the servers in an uplink\'s `dns` by that uplink, and not at all while it is down.')
				},
				dnsmasq_dir: {
					kind: 'directory',
					names: [ 'dnsmasq_dir' ],
					default: 'auto',
					help: _('Where dnsmasq reads netpath.conf, made for rules with `domain`. auto: every conf-dir of OpenWrt\'s dnsmasq, else /etc/dnsmasq.d.')
				},
				dnsmasq_restart: {
					kind: 'choice',
					names: [ 'dnsmasq_restart' ],
					default: 'auto',
					choices: [ 'auto', 'systemd', 'init', 'none' ],
					help: _('How dnsmasq is restarted when netpath.conf has changed: systemd (`systemctl try-restart dnsmasq`), init (`/etc/init.d/dnsmasq restart`), auto (what is there), or none.')
				},
			}
		},
		interface: {
			help: _('One uplink of one address family. Its name is that of the network interface in /etc/config/network.'),
			options: {
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					note: _('1; in a file with mwan3\'s option names 0, as mwan3 has it'),
					help: _('Whether NetPath uses this uplink.')
				},
				ifname: {
					kind: 'device',
					names: [ 'ifname', 'device' ],
					note: _('the device of the network interface with this section\'s name'),
					help: _('Kernel device.')
				},
				family: {
					kind: 'choice',
					names: [ 'family' ],
					default: 'ipv4',
					choices: [ 'ipv4', 'ipv6' ],
					help: _('Address family.')
				},
				gateway: {
					kind: 'address',
					names: [ 'gateway' ],
					note: _('that of the default route in the main table'),
					help: _('Next hop.')
				},
				initial_state: {
					kind: 'choice',
					names: [ 'initial_state' ],
					default: 'online',
					choices: [ 'online', 'offline' ],
					help: _('State until the first probes have decided.')
				},
				flush_conntrack: {
					kind: 'events',
					names: [ 'flush_conntrack' ],
					default: 'disconnected ifdown',
					list: true,
					commas: true,
					choices: [ 'ifup', 'ifdown', 'connected', 'disconnected', 'never', 'always' ],
					help: _('Events at which this uplink\'s tracked connections are deleted, so that they start again elsewhere. never: at none, always: at all.')
				},
				dns: {
					kind: 'resolvers',
					names: [ 'dns' ],
					list: true,
					note: _('none'),
					help: _('DNS servers of this uplink, as its provider names them; see `dns_failover`.')
				},
				metered: {
					kind: 'bool',
					names: [ 'metered' ],
					default: '0',
					help: _('Traffic there costs money: shown, and spared where there is a choice.')
				},
				nat6: {
					kind: 'choice',
					names: [ 'nat6' ],
					default: 'off',
					choices: [ 'off', 'masquerade', 'prefix' ],
					help: _('IPv6 packets of the LAN whose source is not of this uplink leave: off: as they are, masquerade: with the router\'s address, prefix: with the prefix exchanged one to one (NPTv6), and masqueraded where there is no room for that.')
				},
				nat6_prefix: {
					kind: 'prefixes',
					names: [ 'nat6_prefix' ],
					list: true,
					commas: true,
					range: [ 16, 128 ],
					note: _('those of the source-specific default routes by its device'),
					help: _('IPv6 prefixes that the provider routes to this router by this uplink.')
				},
				nat6_from: {
					kind: 'prefixes',
					names: [ 'nat6_from' ],
					list: true,
					commas: true,
					range: [ 16, 128 ],
					note: _('/48 to /64 prefixes of the main table by devices that are no uplinks'),
					help: _('Prefixes of the LAN that nat6 prefix maps one to one; all other sources are masqueraded.')
				},
				track_method: {
					kind: 'choice',
					names: [ 'track_method' ],
					default: 'ping',
					choices: [ 'ping', 'httping', 'dns', 'arping', 'tcp', 'none' ],
					spellings: { 'nslookup': 'dns', 'nping-tcp': 'tcp', 'nping-udp': 'ping', 'nping-icmp': 'ping', 'nping-arp': 'arping' },
					help: _('How the uplink is probed. arping asks a neighbour: by ARP, with IPv6 by neighbour solicitation.')
				},
				track_targets: {
					kind: 'targets',
					names: [ 'track_targets', 'track_ip' ],
					mwan3: 'track_ip',
					list: true,
					note: _('none: the uplink counts as online while its device is up'),
					help: _('What is probed: IP addresses; for httping also URLs and host names, for tcp also ADDRESS:PORT.')
				},
				reliability: {
					kind: 'whole',
					names: [ 'reliability' ],
					default: '1',
					range: [ 1, 100 ],
					help: _('How many targets must answer for a round to succeed.')
				},
				count: {
					kind: 'whole',
					names: [ 'count' ],
					default: '1',
					range: [ 1, 100 ],
					help: _('Probes sent to each target in a round; one answer is enough.')
				},
				size: {
					kind: 'whole',
					names: [ 'size' ],
					default: '56',
					range: [ 0, 65507 ],
					help: _('Payload of a ping, in bytes.')
				},
				max_ttl: {
					kind: 'whole',
					names: [ 'max_ttl' ],
					default: '60',
					range: [ 1, 255 ],
					help: _('Time to live (hop limit) of a ping.')
				},
				timeout: {
					kind: 'duration',
					names: [ 'timeout' ],
					range: [ 0.01, 60 ],
					note: _('derived from the measured round-trip times'),
					help: _('How long an answer may take.')
				},
				interval: {
					kind: 'duration',
					names: [ 'interval' ],
					default: '5s',
					range: [ 0.02, 86400 ],
					help: _('Time between rounds while all is well.')
				},
				failure_interval: {
					kind: 'duration',
					names: [ 'failure_interval' ],
					range: [ 0.02, 86400 ],
					note: _('interval, but at most 100ms, with several targets 300ms, with keep_failure_interval 500ms'),
					help: _('Time between rounds once one has failed, until the uplink is offline.')
				},
				recovery_interval: {
					kind: 'duration',
					names: [ 'recovery_interval' ],
					range: [ 0.02, 86400 ],
					note: _('interval, but at most 2s'),
					help: _('Time between rounds while the uplink comes back.')
				},
				keep_failure_interval: {
					kind: 'bool',
					names: [ 'keep_failure_interval' ],
					default: '0',
					help: _('Keep probing at failure_interval while the uplink is offline.')
				},
				down: {
					kind: 'whole',
					names: [ 'down' ],
					default: '3',
					range: [ 1, 1000 ],
					help: _('Failed rounds in a row until the uplink is offline.')
				},
				up: {
					kind: 'whole',
					names: [ 'up' ],
					default: '5',
					range: [ 1, 1000 ],
					help: _('Successful rounds in a row until it is online again.')
				},
				stable_time: {
					kind: 'duration',
					names: [ 'stable_time' ],
					default: '0',
					range: [ 0, 86400 ],
					help: _('How long it must stay well before it is used again.')
				},
				check_quality: {
					kind: 'bool',
					names: [ 'check_quality' ],
					default: '0',
					help: _('Judge the uplink by latency, loss and jitter too.')
				},
				failure_latency: {
					kind: 'number',
					names: [ 'failure_latency' ],
					default: '1000',
					range: [ 1, 60000 ],
					unit: 'ms',
					help: _('Latency above which a round fails.')
				},
				recovery_latency: {
					kind: 'number',
					names: [ 'recovery_latency' ],
					default: '500',
					range: [ 1, 60000 ],
					unit: 'ms',
					help: _('Latency that a recovering uplink must stay under.')
				},
				failure_loss: {
					kind: 'number',
					names: [ 'failure_loss' ],
					default: '40',
					range: [ 0, 100 ],
					unit: '%',
					help: _('Loss above which a round fails.')
				},
				recovery_loss: {
					kind: 'number',
					names: [ 'recovery_loss' ],
					default: '10',
					range: [ 0, 100 ],
					unit: '%',
					help: _('Loss that a recovering uplink must stay under.')
				},
				failure_jitter: {
					kind: 'number',
					names: [ 'failure_jitter' ],
					range: [ 1, 60000 ],
					unit: 'ms',
					note: _('not checked'),
					help: _('Jitter above which a round fails.')
				},
				recovery_jitter: {
					kind: 'number',
					names: [ 'recovery_jitter' ],
					range: [ 1, 60000 ],
					unit: 'ms',
					note: _('not checked'),
					help: _('Jitter that a recovering uplink must stay under.')
				},
				httping_ssl: {
					kind: 'bool',
					names: [ 'httping_ssl' ],
					default: '0',
					help: _('httping asks by HTTPS where a target names no scheme.')
				},
				dns_query: {
					kind: 'hostname',
					names: [ 'dns_query' ],
					default: 'example.com',
					help: _('Name that the dns method asks for.')
				},
				tcp_port: {
					kind: 'whole',
					names: [ 'tcp_port' ],
					default: '443',
					range: [ 1, 65535 ],
					help: _('Port of the tcp method where a target names none.')
				},
			}
		},
		member: {
			help: _('An interface with the place it takes in policies.'),
			options: {
				interface: {
					kind: 'name',
					names: [ 'interface' ],
					required: true,
					help: _('The interface section it stands for.')
				},
				metric: {
					kind: 'whole',
					names: [ 'metric' ],
					default: '1',
					range: [ 1, 65535 ],
					help: _('Members with the lowest metric that is online carry the traffic.')
				},
				weight: {
					kind: 'whole',
					names: [ 'weight' ],
					default: '1',
					range: [ 1, 1000 ],
					help: _('Share among members of one metric.')
				},
				time: {
					kind: 'windows',
					names: [ 'time' ],
					list: true,
					commas: true,
					note: _('at any time'),
					help: _('When it may be used, in the router\'s local time: 08:00-18:00, past midnight 22:00-06:00.')
				},
				weekdays: {
					kind: 'weekdays',
					names: [ 'weekdays' ],
					list: true,
					commas: true,
					note: _('every day'),
					help: _('Days on which it may be used, mon to sun and ranges like mon-fri. A time past midnight belongs to the day on which it begins.')
				},
				quota: {
					kind: 'size',
					names: [ 'quota' ],
					range: [ 1000, 1000000000000000 ],
					note: _('no limit'),
					help: _('Traffic of its interface\'s device in a month, both directions, after which it is not used until the next month. Bytes, with k, M, G, T or Ki, Mi, Gi, Ti.')
				},
				quota_reset: {
					kind: 'whole',
					names: [ 'quota_reset' ],
					default: '1',
					range: [ 1, 31 ],
					help: _('Day of the month on which the quota begins anew; the last one where a month has no such day.')
				},
			}
		},
		policy: {
			help: _('Where traffic goes: members, and how it is spread over them.'),
			options: {
				members: {
					kind: 'names',
					names: [ 'members', 'use_member' ],
					mwan3: 'use_member',
					list: true,
					note: _('none: every flow gets last_resort'),
					help: _('The member sections; in mode failover their order counts.')
				},
				mode: {
					kind: 'choice',
					names: [ 'mode' ],
					default: 'balanced',
					choices: [ 'balanced', 'failover', 'round-robin', 'hash', 'weighted', 'random' ],
					spellings: { 'round_robin': 'round-robin', 'roundrobin': 'round-robin' },
					help: _('How new flows are spread over the members of the lowest metric.')
				},
				last_resort: {
					kind: 'choice',
					names: [ 'last_resort' ],
					default: 'unreachable',
					choices: [ 'unreachable', 'blackhole', 'default' ],
					help: _('What new flows get while no member is online: an error, silence, or the main routing table.')
				},
			}
		},
		rule: {
			help: _('What traffic takes which policy. The first rule whose criteria all match decides, in file order.'),
			options: {
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether NetPath uses this rule.')
				},
				family: {
					kind: 'choice',
					names: [ 'family' ],
					default: 'any',
					choices: [ 'any', 'ipv4', 'ipv6' ],
					note: _('that of its addresses, else any'),
					help: _('Address family.')
				},
				proto: {
					kind: 'protocols',
					names: [ 'proto' ],
					default: 'all',
					list: true,
					commas: true,
					negatable: true,
					help: _('Protocols: all, numbers, or icmp, igmp, ipip, tcp, udp, dccp, ipv6, gre, esp, ah, icmpv6, ipv6-icmp, ospf, pim, vrrp, l2tp, sctp, udplite.')
				},
				src_ip: {
					kind: 'networks',
					names: [ 'src_ip' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Source addresses: ADDRESS, ADDRESS/LENGTH or ADDRESS/MASK, where the mask may have gaps.')
				},
				src_port: {
					kind: 'ports',
					names: [ 'src_port' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Source ports; needs proto with ports.')
				},
				src_iface: {
					kind: 'ingress',
					names: [ 'src_iface' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Where the traffic comes in: devices or network interfaces.')
				},
				src_mac: {
					kind: 'macs',
					names: [ 'src_mac' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Hardware addresses of LAN hosts.')
				},
				dest_ip: {
					kind: 'networks',
					names: [ 'dest_ip' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Destination addresses, like src_ip.')
				},
				dest_port: {
					kind: 'ports',
					names: [ 'dest_port' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Destination ports; needs proto with ports.')
				},
				dscp: {
					kind: 'dscp',
					names: [ 'dscp' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('DSCP values: 0 to 63 or names like CS1, AF41, EF.')
				},
				nft_set: {
					kind: 'set_name',
					names: [ 'nft_set', 'ipset' ],
					mwan3: 'ipset',
					note: _('any'),
					help: _('Set that must hold the destination: NAME_4 and NAME_6 in NetPath\'s table, filled by dnsmasq or scripts.')
				},
				domain: {
					kind: 'domains',
					names: [ 'domain' ],
					list: true,
					note: _('any'),
					help: _('Destinations by name: example.com is itself and all below it. The clients must ask this router\'s dnsmasq.')
				},
				sticky: {
					kind: 'bool',
					names: [ 'sticky' ],
					default: '0',
					help: _('A client stays on the uplink it got.')
				},
				timeout: {
					kind: 'whole_seconds',
					names: [ 'timeout' ],
					default: '600',
					range: [ 1, 2592000 ],
					help: _('How long a sticky client keeps its uplink after its last new connection.')
				},
				logging: {
					kind: 'bool',
					names: [ 'logging' ],
					default: '0',
					help: _('Log the first packet of each flow, at most 5 a second, if globals allow it.')
				},
				policy: {
					kind: 'name',
					names: [ 'policy', 'use_policy' ],
					mwan3: 'use_policy',
					required: true,
					help: _('A policy section, or default (main routing table), unreachable, blackhole.')
				},
			}
		},
		monitor: {
			help: _('`netpath monitor` (docs/monitor.md). The tracker does not read this.'),
			options: {
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '0',
					help: _('Whether the monitor does anything.')
				},
				loglevel: {
					kind: 'choice',
					names: [ 'loglevel' ],
					default: 'notice',
					choices: [ 'emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug' ],
					spellings: { 'err': 'error', 'warn': 'warning' },
					help: _('How much the monitor logs; info has the health of all parts once a minute.')
				},
				listen_address: {
					kind: 'own_addresses',
					names: [ 'listen_address' ],
					default: '::',
					list: true,
					commas: true,
					help: _('Where the UDP server listens; `::` is every address of both families.')
				},
				listen_port: {
					kind: 'whole',
					names: [ 'listen_port' ],
					default: '17890',
					range: [ 0, 65535 ],
					help: _('Port of the UDP server; 0: no server.')
				},
				clients: {
					kind: 'clients',
					names: [ 'clients' ],
					default: '127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 ::1/128 fe80::/10 fc00::/7',
					list: true,
					commas: true,
					help: _('Who may register at the UDP server.')
				},
				format: {
					kind: 'choice',
					names: [ 'format' ],
					default: 'combined',
					choices: [ 'combined', 'pair' ],
					help: _('combined: one datagram of 48 bytes (32 where nothing counts a WAN); pair: one of 32 bytes and one of 16.')
				},
				interval: {
					kind: 'duration',
					names: [ 'interval' ],
					default: '1s',
					range: [ 0.1, 3600 ],
					help: _('Time between two datagrams to one client.')
				},
				client_timeout: {
					kind: 'duration',
					names: [ 'client_timeout' ],
					default: '15s',
					range: [ 1, 3600 ],
					help: _('Silence after which a client is forgotten.')
				},
				max_clients: {
					kind: 'whole',
					names: [ 'max_clients' ],
					default: '32',
					range: [ 1, 1024 ],
					help: _('Clients at most.')
				},
				wan: {
					kind: 'names',
					names: [ 'wan' ],
					list: true,
					note: _('all of type openwrt; without one all of type local'),
					help: _('Sources whose sum is the WAN\'s traffic.')
				},
				local: {
					kind: 'bool',
					names: [ 'local' ],
					default: '1',
					help: _('Whether this router\'s uplinks are a source, by the name local, without a section of their own.')
				},
				retry: {
					kind: 'choice',
					names: [ 'retry' ],
					default: 'infinite',
					choices: [ 'fast', 'default', 'slow', 'infinite' ],
					help: _('How sources that do not say it themselves are tried again after a failure.')
				},
				metrics_address: {
					kind: 'own_addresses',
					names: [ 'metrics_address' ],
					default: '127.0.0.1 ::1',
					list: true,
					commas: true,
					help: _('Where `/metrics` for Prometheus is served, by HTTP.')
				},
				metrics_port: {
					kind: 'whole',
					names: [ 'metrics_port' ],
					default: '9919',
					range: [ 0, 65535 ],
					help: _('Its port; 0: not served.')
				},
				mqtt_host: {
					kind: 'host',
					names: [ 'mqtt_host' ],
					note: _('none: nothing is published'),
					help: _('MQTT broker.')
				},
				mqtt_port: {
					kind: 'whole',
					names: [ 'mqtt_port' ],
					range: [ 1, 65535 ],
					note: _('1883, with `mqtt_tls` 8883'),
					help: _('Its port.')
				},
				mqtt_username: {
					kind: 'text',
					names: [ 'mqtt_username' ],
					note: _('none'),
					help: _('User name there.')
				},
				mqtt_password: {
					kind: 'text',
					names: [ 'mqtt_password' ],
					secret: true,
					note: _('none'),
					help: _('Password there.')
				},
				mqtt_tls: {
					kind: 'bool',
					names: [ 'mqtt_tls' ],
					default: '0',
					help: _('Whether the connection to the broker is encrypted.')
				},
				mqtt_ca: {
					kind: 'file',
					names: [ 'mqtt_ca' ],
					note: _('the system\'s'),
					help: _('File with the certificates that may have signed the broker\'s.')
				},
				mqtt_verify: {
					kind: 'bool',
					names: [ 'mqtt_verify' ],
					default: '1',
					help: _('Whether the broker\'s certificate is checked.')
				},
				mqtt_topic: {
					kind: 'topic',
					names: [ 'mqtt_topic' ],
					default: 'netpath',
					help: _('First part of every topic.')
				},
				mqtt_discovery: {
					kind: 'topic_or_none',
					names: [ 'mqtt_discovery' ],
					default: 'homeassistant',
					help: _('First part of the topics by which Home Assistant finds what is published; none: it is not told.')
				},
				mqtt_interval: {
					kind: 'duration',
					names: [ 'mqtt_interval' ],
					default: '30s',
					range: [ 1, 3600 ],
					help: _('Time between two publications of figures; states and events go at once.')
				},
				clash_url: {
					kind: 'url',
					names: [ 'clash_url' ],
					secret: true,
					choices: [ 'ws', 'wss' ],
					note: _('none'),
					help: _('Short for a source `clash` of type clash with this `url`. Its `?token=...` is shown nowhere.')
				},
				luci_url: {
					kind: 'url',
					names: [ 'luci_url' ],
					secret: true,
					choices: [ 'http', 'https' ],
					note: _('none'),
					help: _('Short for a source `luci` of type openwrt with this `url`.')
				},
				luci_username: {
					kind: 'text',
					names: [ 'luci_username' ],
					default: 'root',
					help: _('User name of that source.')
				},
				luci_password: {
					kind: 'text',
					names: [ 'luci_password' ],
					secret: true,
					note: _('none'),
					help: _('Password of that source.')
				},
			}
		},
		source: {
			help: _('Where the monitor has traffic figures from.'),
			options: {
				type: {
					kind: 'choice',
					names: [ 'type' ],
					required: true,
					choices: [ 'clash', 'openwrt', 'local' ],
					spellings: { 'mihomo': 'clash', 'luci': 'openwrt' },
					help: _('clash: Clash or mihomo, by WebSocket; openwrt: another router, by its ubus or LuCI; local: this router\'s uplinks, from the tracker.')
				},
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether the monitor uses this source.')
				},
				url: {
					kind: 'url',
					names: [ 'url' ],
					secret: true,
					choices: [ 'ws', 'wss', 'http', 'https' ],
					note: _('**required** but for local'),
					help: _('clash: `ws://HOST:PORT/connections`; openwrt: `http://HOST/`, or the address of its LuCI. Never shown with what follows a `?`.')
				},
				token: {
					kind: 'text',
					names: [ 'token' ],
					secret: true,
					note: _('that of the address'),
					help: _('clash: its `secret`.')
				},
				username: {
					kind: 'text',
					names: [ 'username' ],
					default: 'root',
					help: _('openwrt: user name there.')
				},
				password: {
					kind: 'text',
					names: [ 'password' ],
					secret: true,
					note: _('none'),
					help: _('openwrt: password there.')
				},
				interface: {
					kind: 'interfaces',
					names: [ 'interface' ],
					list: true,
					commas: true,
					note: _('openwrt: those with a default route; local: all'),
					help: _('openwrt: interfaces or devices that are counted as its WAN; local: uplinks.')
				},
				interval: {
					kind: 'duration',
					names: [ 'interval' ],
					default: '1s',
					range: [ 0.2, 3600 ],
					help: _('Time between two readings.')
				},
				timeout: {
					kind: 'duration',
					names: [ 'timeout' ],
					default: '10s',
					range: [ 0.5, 300 ],
					help: _('For each exchange; also the longest silence of a source that sends by itself.')
				},
				verify: {
					kind: 'bool',
					names: [ 'verify' ],
					default: '1',
					help: _('Whether the certificate of an https or wss address is checked.')
				},
				retry: {
					kind: 'choice',
					names: [ 'retry' ],
					choices: [ 'fast', 'default', 'slow', 'infinite' ],
					note: _('that of section monitor'),
					help: _('How it is tried again after a failure.')
				},
				retry_attempts: {
					kind: 'whole',
					names: [ 'retry_attempts' ],
					range: [ 0, 1000000 ],
					note: _('as `retry` has it'),
					help: _('After so many failures in a row it is given up, until the next reload; 0: never.')
				},
				retry_first: {
					kind: 'duration',
					names: [ 'retry_first' ],
					range: [ 0.01, 3600 ],
					note: _('as `retry` has it'),
					help: _('Delay after the first failure; doubled after each further one.')
				},
				retry_max: {
					kind: 'duration',
					names: [ 'retry_max' ],
					range: [ 0.01, 86400 ],
					note: _('as `retry` has it'),
					help: _('No delay is longer.')
				},
			}
		},
		notify: {
			help: _('Who is told of transitions, and how.'),
			options: {
				type: {
					kind: 'choice',
					names: [ 'type' ],
					required: true,
					choices: [ 'webhook', 'email' ],
					help: _('webhook: a JSON object by HTTP POST; email: a mail by SMTP.')
				},
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether anything is sent.')
				},
				events: {
					kind: 'choices',
					names: [ 'events' ],
					default: 'online offline',
					list: true,
					commas: true,
					choices: [ 'online', 'disconnecting', 'offline', 'connecting', 'disabled', 'open', 'closed' ],
					help: _('What is told: new states of interfaces, and members that were opened or closed.')
				},
				interface: {
					kind: 'interfaces',
					names: [ 'interface' ],
					list: true,
					commas: true,
					note: _('of all'),
					help: _('Only of these interfaces.')
				},
				url: {
					kind: 'url',
					names: [ 'url' ],
					secret: true,
					choices: [ 'http', 'https' ],
					note: _('**required** for webhook'),
					help: _('webhook: where to. Shown nowhere, as many have a secret in their path.')
				},
				format: {
					kind: 'choice',
					names: [ 'format' ],
					default: 'json',
					choices: [ 'json', 'slack', 'discord', 'ntfy', 'gotify' ],
					help: _('webhook: what is sent. json: everything, for programs and Mattermost; else what that service wants.')
				},
				token: {
					kind: 'text',
					names: [ 'token' ],
					secret: true,
					note: _('none'),
					help: _('webhook: sent as `Authorization: Bearer`.')
				},
				server: {
					kind: 'host',
					names: [ 'server' ],
					note: _('**required** for email'),
					help: _('email: the SMTP server.')
				},
				port: {
					kind: 'whole',
					names: [ 'port' ],
					range: [ 1, 65535 ],
					note: _('587, 465 with `security` tls, 25 with none'),
					help: _('email: its port.')
				},
				security: {
					kind: 'choice',
					names: [ 'security' ],
					default: 'starttls',
					choices: [ 'starttls', 'tls', 'none' ],
					help: _('email: how the connection is encrypted.')
				},
				username: {
					kind: 'text',
					names: [ 'username' ],
					note: _('none: no login'),
					help: _('User name at the mail server, or at a webhook without token.')
				},
				password: {
					kind: 'text',
					names: [ 'password' ],
					secret: true,
					note: _('none'),
					help: _('Its password.')
				},
				from: {
					kind: 'mailbox',
					names: [ 'from' ],
					note: _('**required** for email'),
					help: _('email: sender.')
				},
				to: {
					kind: 'mailboxes',
					names: [ 'to' ],
					list: true,
					commas: true,
					note: _('**required** for email'),
					help: _('email: recipients.')
				},
				verify: {
					kind: 'bool',
					names: [ 'verify' ],
					default: '1',
					help: _('Whether the server\'s certificate is checked.')
				},
				timeout: {
					kind: 'duration',
					names: [ 'timeout' ],
					default: '15s',
					range: [ 1, 300 ],
					help: _('For each exchange.')
				},
				limit: {
					kind: 'whole',
					names: [ 'limit' ],
					default: '20',
					range: [ 1, 3600 ],
					help: _('Messages an hour; what comes beyond is gathered into the next one.')
				},
				gather: {
					kind: 'duration',
					names: [ 'gather' ],
					default: '5s',
					range: [ 0, 3600 ],
					help: _('Events within this time go in one message.')
				},
				retry: {
					kind: 'choice',
					names: [ 'retry' ],
					default: 'default',
					choices: [ 'fast', 'default', 'slow', 'infinite' ],
					help: _('How a message is tried again after a failure.')
				},
			}
		},
		bond: {
			help: _('One end of a tunnel over several uplinks: `netpath bond client`, `netpath bond server` (docs/bond.md). The tracker does not read this.'),
			options: {
				role: {
					kind: 'choice',
					names: [ 'role' ],
					required: true,
					choices: [ 'client', 'server' ],
					help: _('client: the router with the uplinks; server: the far end, such as a VPS.')
				},
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether it is started.')
				},
				device: {
					kind: 'device',
					names: [ 'device' ],
					default: 'tun-bond',
					help: _('The tunnel\'s network device.')
				},
				server: {
					kind: 'servers',
					names: [ 'server' ],
					list: true,
					commas: true,
					note: _('**required** for client'),
					help: _('client: where the server is: names, addresses, each with `:PORT` where its port is not `port`; an IPv6 address with a port stands in brackets. Several are tried in turn.')
				},
				port: {
					kind: 'whole',
					names: [ 'port' ],
					default: '9001',
					range: [ 1, 65535 ],
					help: _('UDP port; with `ports` above 1 the first of them.')
				},
				ports: {
					kind: 'whole',
					names: [ 'ports' ],
					default: '5',
					range: [ 1, 64 ],
					help: _('How many ports in a row the server listens on; both ends alike. The streams of a link take one after the other.')
				},
				private_key: {
					kind: 'key',
					names: [ 'private_key' ],
					secret: true,
					note: _('`private_key_file`'),
					help: _('This end\'s private key, from `netpath bond genkey`. Shown nowhere.')
				},
				private_key_file: {
					kind: 'file',
					names: [ 'private_key_file' ],
					note: _('`/etc/netpath/NAME.key`'),
					help: _('File with this end\'s private key.')
				},
				server_key: {
					kind: 'key',
					names: [ 'server_key' ],
					note: _('**required** for client'),
					help: _('client: the server\'s public key, from `netpath bond pubkey` there.')
				},
				preshared_key: {
					kind: 'key',
					names: [ 'preshared_key' ],
					secret: true,
					note: _('none'),
					help: _('client: a further secret that both ends have (`netpath bond genpsk`): against who may break X25519 one day. Shown nowhere.')
				},
				preshared_key_file: {
					kind: 'file',
					names: [ 'preshared_key_file' ],
					note: _('none'),
					help: _('client: file with it.')
				},
				automatic: {
					kind: 'bool',
					names: [ 'automatic' ],
					note: _('1 where it has no `bond_link`'),
					help: _('client: whether every interface of NetPath that is online is a link.')
				},
				streams: {
					kind: 'whole',
					names: [ 'streams' ],
					default: '1',
					range: [ 1, 16 ],
					help: _('client: UDP streams of each link, for lines that slow down single streams.')
				},
				address: {
					kind: 'inner_addresses',
					names: [ 'address', 'addresses' ],
					list: true,
					commas: true,
					note: _('client: those that the server gives; server: 10.99.0.1/24'),
					help: _('Inner addresses of this end.')
				},
				mtu: {
					kind: 'whole',
					names: [ 'mtu' ],
					range: [ 576, 9000 ],
					note: _('what fits through all links'),
					help: _('MTU of the device.')
				},
				heartbeat: {
					kind: 'duration',
					names: [ 'heartbeat' ],
					default: '100ms',
					range: [ 0.02, 10 ],
					help: _('Time between two signs of life on each path. Silence of 4.5 times that takes a path out.')
				},
				mode: {
					kind: 'choice',
					names: [ 'mode' ],
					default: 'aggregate',
					choices: [ 'aggregate', 'low-latency', 'redundant' ],
					spellings: { 'low_latency': 'low-latency', 'lowlatency': 'low-latency' },
					help: _('aggregate: the speed of all links together; low-latency: each packet by the link that is quickest now; redundant: each packet by several links at once.')
				},
				copies: {
					kind: 'whole',
					names: [ 'copies' ],
					default: '2',
					range: [ 2, 16 ],
					help: _('redundant: by how many links each packet goes.')
				},
				fec: {
					kind: 'choice',
					names: [ 'fec' ],
					default: 'adaptive',
					choices: [ 'off', 'fixed', 'adaptive' ],
					spellings: { '0': 'off', 'no': 'off', 'false': 'off' },
					help: _('Forward error correction, which replaces lost packets without sending again. adaptive: as much as the measured loss needs, none where nothing is lost; fixed: always the same.')
				},
				fec_group: {
					kind: 'whole',
					names: [ 'fec_group' ],
					default: '10',
					range: [ 1, 64 ],
					help: _('Packets that are protected together.')
				},
				fec_repairs: {
					kind: 'whole',
					names: [ 'fec_repairs' ],
					default: '3',
					range: [ 0, 32 ],
					help: _('Repairs of each such group; with adaptive at most so many. 0 is `fec` off.')
				},
				rtt_weight: {
					kind: 'weight',
					names: [ 'rtt_weight' ],
					default: '0.7',
					help: _('How much a link\'s round trip counts in choosing among links.')
				},
				loss_weight: {
					kind: 'weight',
					names: [ 'loss_weight' ],
					default: '0.3',
					help: _('How much its loss counts.')
				},
				obfuscate: {
					kind: 'bool',
					names: [ 'obfuscate' ],
					default: '0',
					help: _('Whether datagrams look like noise, so that filters do not know them; both ends alike.')
				},
				cipher: {
					kind: 'choices',
					names: [ 'cipher' ],
					list: true,
					commas: true,
					choices: [ 'aes-256-gcm', 'chacha20-poly1305' ],
					spellings: { 'aes': 'aes-256-gcm', 'chacha20': 'chacha20-poly1305', 'chacha': 'chacha20-poly1305' },
					note: _('both, first what this processor does fast'),
					help: _('Ciphers that may be used, the preferred one first.')
				},
				listen: {
					kind: 'own_addresses',
					names: [ 'listen' ],
					list: true,
					commas: true,
					note: _('everywhere'),
					help: _('server: where it listens.')
				},
				masquerade: {
					kind: 'bool',
					names: [ 'masquerade' ],
					note: _('server: 1, client: 0'),
					help: _('server: whether what clients send to the Internet gets the server\'s address; client: whether what the LAN sends by the bond gets the inner address, where no firewall does that (OpenWrt\'s can).')
				},
				forward: {
					kind: 'bool',
					names: [ 'forward' ],
					default: '1',
					help: _('server: whether forwarding is switched on and let through for clients while the server runs.')
				},
				nft_table: {
					kind: 'nft_table',
					names: [ 'nft_table' ],
					note: _('`netpath_bond_NAME`'),
					help: _('Name of its nftables table (family inet), which a server has, and a client with `masquerade`.')
				},
				max_clients: {
					kind: 'whole',
					names: [ 'max_clients' ],
					default: '64',
					range: [ 1, 1000 ],
					help: _('server: clients at the same time.')
				},
				loglevel: {
					kind: 'choice',
					names: [ 'loglevel' ],
					default: 'notice',
					choices: [ 'emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug' ],
					spellings: { 'err': 'error', 'warn': 'warning' },
					help: _('How much it logs.')
				},
			}
		},
		bond_link: {
			help: _('An uplink of a bond\'s client. Without any, all interfaces of NetPath that are online are links.'),
			options: {
				bond: {
					kind: 'name',
					names: [ 'bond' ],
					note: _('the only one of its role'),
					help: _('The `bond` section it belongs to.')
				},
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether it is used.')
				},
				interface: {
					kind: 'link',
					names: [ 'interface' ],
					note: _('`interface` or `source` is **required**'),
					help: _('An interface of NetPath, or a device.')
				},
				source: {
					kind: 'address',
					names: [ 'source' ],
					note: _('none'),
					help: _('A local address instead.')
				},
				streams: {
					kind: 'whole',
					names: [ 'streams' ],
					range: [ 1, 16 ],
					note: _('as the bond has it'),
					help: _('UDP streams of this link.')
				},
				cap: {
					kind: 'rate',
					names: [ 'cap' ],
					note: _('what it turns out to carry'),
					help: _('Never send more by it: bits like `50mbit`, or bytes like `6MB/s`.')
				},
			}
		},
		bond_peer: {
			help: _('A client that a bond\'s server knows. `netpath bond invite NAME` writes both ends\' sections.'),
			options: {
				bond: {
					kind: 'name',
					names: [ 'bond' ],
					note: _('the only one of its role'),
					help: _('The `bond` section it belongs to.')
				},
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether it is let in.')
				},
				public_key: {
					kind: 'key',
					names: [ 'public_key' ],
					required: true,
					help: _('The client\'s public key, from `netpath bond pubkey`.')
				},
				preshared_key: {
					kind: 'key',
					names: [ 'preshared_key' ],
					secret: true,
					note: _('none'),
					help: _('The further secret that it has too. Shown nowhere.')
				},
				preshared_key_file: {
					kind: 'file',
					names: [ 'preshared_key_file' ],
					note: _('none'),
					help: _('File with it.')
				},
				addresses: {
					kind: 'inner_addresses',
					names: [ 'addresses', 'address' ],
					required: true,
					list: true,
					commas: true,
					help: _('Its inner addresses: nobody else may send with them.')
				},
				networks: {
					kind: 'behind',
					names: [ 'networks', 'network' ],
					list: true,
					commas: true,
					note: _('none'),
					help: _('Networks behind it, such as its LAN, which the server reaches through it.')
				},
				streams: {
					kind: 'whole',
					names: [ 'streams' ],
					default: '16',
					range: [ 1, 64 ],
					help: _('Paths at the same time, at most.')
				},
				rate: {
					kind: 'rate',
					names: [ 'rate' ],
					note: _('no limit'),
					help: _('At most so much in each direction: bits like `50mbit`, or bytes like `6MB/s`.')
				},
			}
		},
		bond_rule: {
			help: _('Traffic that a bond sends another way than the rest, such as calls by several links at once. The first rule whose criteria all match decides, in file order, for what this end sends: a server\'s rules are for downloads, where the service is the source.'),
			options: {
				enabled: {
					kind: 'bool',
					names: [ 'enabled' ],
					default: '1',
					help: _('Whether it is used.')
				},
				bond: {
					kind: 'names',
					names: [ 'bond' ],
					list: true,
					note: _('all'),
					help: _('The `bond` sections it is for.')
				},
				peer: {
					kind: 'names',
					names: [ 'peer' ],
					list: true,
					note: _('all'),
					help: _('server: the clients (sections `bond_peer`) it is for.')
				},
				proto: {
					kind: 'protocols',
					names: [ 'proto' ],
					default: 'all',
					list: true,
					commas: true,
					negatable: true,
					help: _('Protocols, as in `rule`.')
				},
				src_ip: {
					kind: 'networks',
					names: [ 'src_ip' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Source addresses, as in `rule`.')
				},
				src_port: {
					kind: 'ports',
					names: [ 'src_port' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Source ports; needs proto with ports.')
				},
				dest_ip: {
					kind: 'networks',
					names: [ 'dest_ip' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Destination addresses.')
				},
				dest_port: {
					kind: 'ports',
					names: [ 'dest_port' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('Destination ports; needs proto with ports.')
				},
				dscp: {
					kind: 'dscp',
					names: [ 'dscp' ],
					list: true,
					commas: true,
					negatable: true,
					note: _('any'),
					help: _('DSCP values: 0 to 63 or names like CS1, AF41, EF.')
				},
				mode: {
					kind: 'choice',
					names: [ 'mode' ],
					required: true,
					choices: [ 'aggregate', 'low-latency', 'redundant' ],
					spellings: { 'low_latency': 'low-latency', 'lowlatency': 'low-latency' },
					help: _('How it goes, as `mode` of a bond: aggregate, low-latency or redundant.')
				},
				copies: {
					kind: 'whole',
					names: [ 'copies' ],
					range: [ 2, 16 ],
					note: _('as the bond has it'),
					help: _('redundant: by how many links each packet goes.')
				},
			}
		},
	},
	patterns: {
		name: /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})$/,
		device: /^(?:[A-Za-z0-9_.:@-]{1,64})$/,
		identifier: /^(?:[A-Za-z_][A-Za-z0-9_]{0,63})$/,
		set_name: /^(?:[A-Za-z_][A-Za-z0-9_.-]{0,63})$/,
		hostname: /^(?:(?=.{1,253}\.?$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)$/,
		target: /^(?:[A-Za-z0-9_.:\/\[\]?&=%+~,@-]{1,255})$/,
		url: /^(?:https?:\/\/(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?<port>[0-9]{1,5}))?(?:\/.*)?)$/,
		domain: /^(?:(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$/,
		directory: /^(?:(?:\/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*){1,32}\/?)$/,
		mac: /^(?:[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})$/,
		duration: /^(?:([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(ms|s|m|h)?)$/,
		number: /^(?:[0-9]{1,9}(?:\.[0-9]{1,9})?)$/,
		window: /^(?:([01]?[0-9]|2[0-3]):([0-5][0-9])-(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00))$/,
		size: /^(?:([0-9]{1,16}(?:\.[0-9]{1,9})?)(ki|mi|gi|ti|[kmgt])?b?)$/i,
		service_url: /^(?:(?<scheme>[a-z]+):\/\/(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?<port>[0-9]{1,5}))?(?:[\/?][!-~]*)?)$/,
		file: /^(?:(?:\/[A-Za-z0-9_+@=, -][A-Za-z0-9_.+@=, -]*){1,32})$/,
		topic: /^(?:(?=.{1,128}$)[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*)$/,
		mailbox: /^(?:(?=.{3,254}$)[A-Za-z0-9.!#$%&'*+\/=?^_`{|}~-]{1,64}@(?<domain>[A-Za-z0-9.-]+))$/,
		key: /^(?:[A-Za-z0-9+\/]{42}[AEIMQUYcgkosw048]=)$/,
		rate: /^(?:([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([kKmMgG]?)(bits?\/s|bits?|b\/s|bps|[Bb]ytes?\/s|B\/s|Bps))$/,
		server: /^(?:(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?<port>[0-9]{1,5}))$/,
	},
	words: {
		true: [ '1', 'enabled', 'on', 'true', 'yes' ],
		false: [ '0', 'disabled', 'false', 'no', 'off' ],
		nft_keywords: [ 'accept', 'add', 'ah', 'all', 'and', 'arp', 'bridge', 'cgroup', 'chain', 'comment', 'comp', 'constant', 'continue', 'counter', 'cpu', 'create', 'ct', 'day', 'dccp', 'define', 'delete', 'describe', 'destroy', 'device', 'devices', 'dnat', 'drop', 'dst', 'dup', 'dynamic', 'ecn', 'element', 'elements', 'eq', 'esp', 'ether', 'exists', 'expires', 'export', 'exthdr', 'fib', 'flags', 'flow', 'flowtable', 'flush', 'frag', 'fwd', 'geneve', 'get', 'goto', 'gre', 'gretap', 'gt', 'handle', 'hbh', 'hook', 'hour', 'ibriport', 'ibrname', 'icmp', 'icmpv6', 'igmp', 'iif', 'iifgroup', 'iifname', 'iiftype', 'import', 'include', 'index', 'inet', 'insert', 'interval', 'ip', 'ip6', 'ipsec', 'jhash', 'jump', 'last', 'limit', 'list', 'log', 'lt', 'map', 'mark', 'masquerade', 'meta', 'meter', 'mh', 'missing', 'monitor', 'ne', 'netdev', 'nftrace', 'not', 'notrack', 'numgen', 'obriport', 'obrname', 'offload', 'oif', 'oifgroup', 'oifname', 'oiftype', 'or', 'osf', 'pkttype', 'policy', 'position', 'priority', 'queue', 'quota', 'random', 'redefine', 'redirect', 'reject', 'rename', 'replace', 'reset', 'return', 'rt', 'rt0', 'rt2', 'rtclassid', 'rule', 'ruleset', 'sctp', 'secmark', 'set', 'size', 'skgid', 'skuid', 'snat', 'socket', 'srh', 'symhash', 'synproxy', 'table', 'tcp', 'th', 'time', 'timeout', 'tproxy', 'type', 'typeof', 'udp', 'udplite', 'undefine', 'update', 'vlan', 'vmap', 'vxlan', 'xor', 'xt' ],
		foreign_tables: [ 'filter', 'firewalld', 'fw4', 'mangle', 'miniupnpd', 'mwan3', 'nat', 'pbr', 'qosify', 'raw', 'security', 'sqm' ],
		seconds_in: { 'ms': 0.001, 's': 1, 'm': 60, 'h': 3600 },
		protocols: { 'icmp': 1, 'igmp': 2, 'ipip': 4, 'tcp': 6, 'udp': 17, 'dccp': 33, 'ipv6': 41, 'gre': 47, 'esp': 50, 'ah': 51, 'icmpv6': 58, 'ipv6-icmp': 58, 'ospf': 89, 'pim': 103, 'vrrp': 112, 'l2tp': 115, 'sctp': 132, 'udplite': 136 },
		with_ports: [ 6, 17, 33, 132, 136 ],
		dscp: { 'cs0': 0, 'cs1': 8, 'cs2': 16, 'cs3': 24, 'cs4': 32, 'cs5': 40, 'cs6': 48, 'cs7': 56, 'af11': 10, 'af12': 12, 'af13': 14, 'af21': 18, 'af22': 20, 'af23': 22, 'af31': 26, 'af32': 28, 'af33': 30, 'af41': 34, 'af42': 36, 'af43': 38, 'be': 0, 'df': 0, 'le': 1, 'va': 44, 'ef': 46 },
		routing_tables: { 'default': 253, 'main': 254, 'local': 255 },
		weekdays: [ 'mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday' ],
		bytes_in: { '': 1, 'ki': 1024, 'mi': 1048576, 'gi': 1073741824, 'ti': 1099511627776, 't': 1000000000000, 'g': 1000000000, 'm': 1000000, 'k': 1000 },
		thousands: { '': 1, 'k': 1000, 'm': 1000000, 'g': 1000000000 },
		units_of_bytes: [ 'byte/s', 'Byte/s', 'bytes/s', 'Bytes/s', 'B/s', 'Bps' ],
	},
	special_policies: [ 'default', 'unreachable', 'blackhole' ],
	longest: { 'text': 255, 'url': 1024 },
	limits: { 'rate': [ 1000, 125000000000 ] },
	conntrack_events: [ 'ifup', 'ifdown', 'connected', 'disconnected' ],
	max_device: 15
});
