/**
 * The commands of the Management Complex, and the API version of each type of object, by release. Facts of the headers of mc-utils, 10.1.2 to
 * 10.40.0, as data: written by a program, read by firmware.ts.
 *
 * A line is a type and its commands, each with its id (12 bits, hexadecimal) and its versions; `V@N` is a version that came with release 10.N.
 * Without one: the oldest release of the headers. No version: 1.
 */
export const COMMANDS = `
dpaiop: close 800; open 80a; create 90a; destroy 98a; get_api_version a0a; get_attr 4; reset 5; set_irq_enable 12; get_irq_enable 13; set_irq_mask 14; get_irq_mask 15
dpaiop: get_irq_status 16; clear_irq_status 17; load 280; run 281; get_sl_version 282; get_state 283; set_time_of_day 284; get_time_of_day 285; set_resetable 286 1@13
dpaiop: get_resetable 287 1@13
dpbp: close 800; open 804; create 904; destroy 984; get_api_version a04; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13
dpbp: set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_notifications 1b0 1,2@8; get_notifications 1b1 1,2@8; get_free_buffers_num 1b2
dpci: close 800; open 807; create 907 2; destroy 987; get_api_version a07; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13
dpci: set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_rx_queue e0; get_link_state e1; get_peer_attr e2; get_rx_queue e3; get_tx_queue e4
dpci: set_opr e5; get_opr e6
dpcon: close 800; open 808; create 908; destroy 988; get_api_version a08; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13
dpcon: set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_notification 100
dpdbg: close 800 1@20; open 80f 1@20; create 90f 1@20; destroy 98f 1@20; get_api_version a0f 1@20; get_attr 4 1@20; dump 130 1@20; set 140 1@20
dpdbg: set_ctlu_profiling 152 1@20; get_ctlu_profiling 153 1@20
dpdcei: close 800; open 80d; create 90d; destroy 98d; get_api_version a0d; enable 2; disable 3; get_attr 4 1,2@3; reset 5; is_enabled 6; set_irq_enable 12
dpdcei: get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_rx_queue 1b0; get_rx_queue 1b1; get_tx_queue 1b2
dpdmai: close 800; open 80e; create 90e 1,2@8,3@26; destroy 98e; get_api_version a0e; enable 2; disable 3; get_attr 4 1,2@8,3@26; reset 5; is_enabled 6
dpdmai: set_irq_enable 12; get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_rx_queue 1a0 1,2@8; get_rx_queue 1a1 1,2@8
dpdmai: get_tx_queue 1a2 1,2@8; set_rx_congestion_notification 1a4 1@26; set_tx_congestion_notification 1a5 1@26; get_rx_congestion_notification 1a6 1@26
dpdmai: get_tx_congestion_notification 1a7 1@26
dpdmux: close 800; open 806; create 906 1,2@20,3@25,4@27,5@40; destroy 986; get_api_version a06; enable 2; disable 3; get_attr 4 1,2@20,3@29,4@40; reset 5; is_enabled 6
dpdmux: set_irq_enable 12; get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_max_frame_length a1; ul_reset_counters a3
dpdmux: if_set_accepted_frames a7; if_get_attr a8; if_enable a9; if_disable aa; if_add_l2_rule b0; if_remove_l2_rule b1; if_get_counter b2; if_set_link_cfg b3 1,2@11
dpdmux: if_get_link_state b4 1,2@11; set_custom_key b5; add_custom_cls_entry b6 1,2@19; remove_custom_cls_entry b7; if_set_default b8 1@4; if_get_default b9 1@4
dpdmux: set_resetable ba 1@22; get_resetable bb 1@22; if_set_taildrop bc 1@23; if_get_taildrop bd 1@23; dump_table be 1@25; get_max_frame_length a2 1@27
dpdmux: set_errors_behavior bf 1@27; set_sp_profile c0 1@35; sp_enable c1 1@35
dpio: close 800; open 803; create 903; destroy 983; get_api_version a03; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13
dpio: set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_stashing_dest 120; get_stashing_dest 121; add_static_dequeue_channel 122
dpio: remove_static_dequeue_channel 123; set_stashing_dest_source 124 1@17; get_stashing_dest_source 125 1@17; set_stashing_dest_by_core_id 126 1@17
dpmac: close 800; open 80c; create 90c; destroy 98c; get_api_version a0c; get_attr 4 1,2@20,3@21; reset 5; set_irq_enable 12; get_irq_enable 13; set_irq_mask 14
dpmac: get_irq_mask 15; get_irq_status 16; clear_irq_status 17; get_link_cfg c2 1,2@11; set_link_state c3 1,2@11; get_counter c4; get_mac_addr c5 1@15
dpmac: set_params c6 1@21; mdio_read c0 1@22; mdio_write c1 1@22; set_protocol c7 1@32; get_statistics c8 1@39; get_ievent_reg_base c9 1@40; set_supp_dpmac_if ca 1@40
dpmcp: close 800; open 80b; create 90b 1,2@32; destroy 98b; get_api_version a0b; get_attr 4 1,2@32; reset 5; set_irq_enable 12; get_irq_enable 13; set_irq_mask 14
dpmcp: get_irq_mask 15; get_irq_status 16
dpmng: get_version 831; get_soc_version 832
dpni: open 801; close 800; create 901 1,2@9,3@14,4@19,5@23,6@29,7@32,8@40; destroy 981; get_api_version a01; enable 2; disable 3; get_attr 4 1,2@3,3@14,4@29,5@30,6@32
dpni: reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_pools 200 2,3@16
dpni: set_errors_behavior 20b; get_qdid 210; get_sp_info 211; get_tx_data_offset 212; get_link_state 215 1,2@11; set_max_frame_length 216; get_max_frame_length 217
dpni: set_link_cfg 21a 1,2@11; set_tx_shaping 21b 2,3@29; set_mcast_promisc 220; get_mcast_promisc 221; set_unicast_promisc 222; get_unicast_promisc 223
dpni: set_prim_mac 224; get_prim_mac 225; add_mac_addr 226 1,2@18; remove_mac_addr 227; clr_mac_filters 228; enable_vlan_filter 230; add_vlan_id 231 1,2@18
dpni: remove_vlan_id 232; clr_vlan_filters 233; set_rx_tc_dist 235 2,3@7,4@19; set_rx_tc_policing 23e 1,2@40; set_qos_tbl 240 1,2@8,3@40; add_qos_ent 241 1,2@17
dpni: remove_qos_ent 242; clr_qos_tbl 243; add_fs_ent 244 1,2@28,3@40; remove_fs_ent 245; clr_fs_ent 246; set_tx_priorities 250 1,2@3,3@29; get_rx_tc_policing 251
dpni: get_statistics 25d 1,2@3,3@14,4@29; reset_statistics 25e; get_queue 25f 1,2@14,3@29; set_queue 260 1,2@14,3@29; get_taildrop 261 2; set_taildrop 262 2,3@29
dpni: get_port_mac_addr 263; get_buffer_layout 264 1,2@5; set_buffer_layout 265 1,2@5; set_congestion_notification 267 1,2@14,3@29
dpni: get_congestion_notification 268 1,2@14,3@29; set_early_drop 269 1,2@3,3@29; get_early_drop 26a 1,2@3,3@29; get_offload 26b 1,2@30; set_offload 26c 1,2@30
dpni: set_tx_confirmation_mode 266 1,2@34; get_tx_confirmation_mode 26d 1,2@34; set_opr 26e 1,2@31; get_opr 26f 1,2@19; load_sw_sequence 270; enable_sw_sequence 271
dpni: get_sw_sequence_layout 272 1@3; set_rx_fs_dist 273 1@7,2@19; set_rx_hash_dist 274 1@7,2@19; add_custom_tpid 275 1@10; remove_custom_tpid 276 1@10
dpni: get_custom_tpid 277 1@10; get_link_cfg 278 1@18; set_single_step_cfg 279 1@22; get_single_step_cfg 27a 1@22,2@32; set_port_cfg 27b 1@22; get_port_cfg 27c 1@22
dpni: dump_table 27d 1@24; set_sp_profile 27e 1@29; get_qdid_ex 27f 1@29; sp_enable 280 1@33; set_queue_tx_confirmation_mode 281 1@34
dpni: get_queue_tx_confirmation_mode 282 1@34; get_mac_statistics 283 1@39; is_macsec_capable 2a0 1@39; add_secy 2a1 1@39; remove_secy 2a2 1@39; secy_set_state 2a3 1@39
dpni: secy_set_protect 2a4 1@39; secy_set_replay_protect 2a5 1@39; secy_add_tx_sa 2a6 1@39; secy_remove_tx_sa 2a7 1@39; secy_set_active_tx_sa 2a8 1@39
dpni: secy_add_rx_sc 2a9 1@39; secy_remove_rx_sc 2aa 1@39; secy_set_rx_sc_state 2ab 1@39; secy_add_rx_sa 2ac 1@39; secy_remove_rx_sa 2ad 1@39
dpni: secy_set_rx_sa_next_pn 2ae 1@39; secy_set_rx_sa_state 2af 1@39; secy_get_stats 2b0 1@39; secy_get_tx_sc_stats 2b1 1@39; secy_get_tx_sa_stats 2b2 1@39
dpni: secy_get_rx_sc_stats 2b3 1@39; secy_get_rx_sa_stats 2b4 1@39; get_macsec_stats 2b5 1@39; get_mac_speed_capability 284 1@40
dprc: close 800; open 805; create 905; get_api_version a05; get_attr 4; reset_cont 5 1,2@21; set_irq 10; get_irq 11; set_irq_enable 12; get_irq_enable 13
dprc: set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; create_cont 151 1,2@20; destroy_cont 152; get_cont_id 830; set_res_quota 155
dprc: get_res_quota 156; assign 157; unassign 158; get_obj_count 159; get_obj 15a; get_res_count 15b; get_res_ids 15c; get_obj_reg 15e 1,2@5,3@23; set_obj_irq 15f
dprc: get_obj_irq 160; set_obj_label 161; get_obj_desc 162; connect 167; disconnect 168; get_pool 169; get_pool_count 16a; get_connection 16c; set_locked 16b 1@20
dprc: get_mem 16d 1@30
dprtc: close 800; open 810; create 910; destroy 990; get_api_version a10; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12; get_irq_enable 13
dprtc: set_irq_mask 14 1,2@20; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_clock_offset 1d0; set_freq_compensation 1d1; get_freq_compensation 1d2
dprtc: get_time 1d3; set_time 1d4; set_alarm 1d5; set_periodic_pulse 1d6; clear_periodic_pulse 1d7; set_ext_trigger 1d8; clear_ext_trigger 1d9
dprtc: get_ext_trigger_timestamp 1da; set_fiper_loopback 1db 1@20; get_clock_offset 1dc 1@25
dpseci: close 800; open 809; create 909 2,3@7; destroy 989; get_api_version a09; enable 2; disable 3; get_attr 4; reset 5; is_enabled 6; set_irq_enable 12
dpseci: get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_rx_queue 194; get_rx_queue 196; get_tx_queue 197
dpseci: get_sec_attr 198 1,2@7; get_sec_counters 199; set_opr 19a; get_opr 19b; set_congestion_notification 170; get_congestion_notification 171
dpseci: get_rx_queue_status 172 1@35; get_tx_queue_status 173 1@35
dpsparser: close 800 1@12; open 811 1@12; create 911 1@12; destroy 991 1@12; get_api_version a11 1@12; apply_spb 118 1@12
dpsw: close 800; open 802; create 902 1,2@25,3@28; destroy 982; get_api_version a02; enable 2; disable 3; get_attr 4 1,2@28; reset 5; is_enabled 6; set_irq_enable 12
dpsw: get_irq_enable 13; set_irq_mask 14; get_irq_mask 15; get_irq_status 16; clear_irq_status 17; set_reflection_if 22; add_custom_tpid 24; remove_custom_tpid 26
dpsw: if_set_tci 30; if_set_stp 31; if_set_accepted_frames 32; set_if_accept_all_vlan 33; if_get_counter 34 1,2@20.4; if_set_counter 35 1,2@20.4
dpsw: if_set_tx_selection 36 1,2@30; if_add_reflection 37; if_remove_reflection 38; if_set_flooding_metering 39; if_set_metering 3a; if_set_early_drop 3b; if_enable 3d
dpsw: if_disable 3e; if_get_attr 42; if_set_max_frame_length 44; if_get_max_frame_length 45; if_get_link_state 46 1,2@11; if_set_flooding 47; if_set_broadcast 48
dpsw: if_set_multicast 49; if_get_tci 4a; if_set_link_cfg 4c 1,2@11; vlan_add 60; vlan_add_if 61 1,2@28; vlan_add_if_untagged 62; vlan_add_if_flooding 63
dpsw: vlan_remove_if 64; vlan_remove_if_untagged 65; vlan_remove_if_flooding 66; vlan_remove 67; vlan_get_if 68; vlan_get_if_flooding 69; vlan_get_if_untagged 6a
dpsw: vlan_get_attributes 6b; fdb_get_multicast 80; fdb_get_unicast 81; fdb_add 82; fdb_remove 83; fdb_add_unicast 84; fdb_remove_unicast 85; fdb_add_multicast 86
dpsw: fdb_remove_multicast 87; fdb_set_learning_mode 88; fdb_get_attr 89; fdb_dump 8a; acl_add 90; acl_remove 91; acl_add_entry 92; acl_remove_entry 93; acl_add_if 94
dpsw: acl_remove_if 95; acl_get_attr 96; ctrl_if_get_attr a0; ctrl_if_set_pools a1; ctrl_if_enable a2; ctrl_if_disable a3; set_lag a4 1@6; get_lag a5 1@6
dpsw: ctrl_if_set_queue a6 1@19; if_get_port_mac_addr a7 1@22; if_add_if_broadcast 4d 1@23; if_remove_if_broadcast 4e 1@23; if_set_taildrop a8 1@23
dpsw: if_get_taildrop a9 1@23; dump_table aa 1@25; set_errors_behavior ab 1@25; set_egress_flood ac 1@28; if_set_learning_mode ad 1@28; if_set_prio_selector 3c 1@30
dpsw: if_set_tx_shaping 3f 1@31,2@40; set_sp_profile ae 1@35; sp_enable af 1@35; if_set_lag_state b0 1@38
`;

/** A line is a type and its API versions. */
export const API_VERSIONS = `
dpaiop: 2.3
dpbp: 3.3 3.4@8
dpci: 3.3 3.4@4
dpcon: 3.2 3.3@3
dpdbg: 1.0@20
dpdcei: 2.2 2.3@3
dpdmai: 3.2 3.3@8 3.4@26
dpdmux: 6.0 6.1@2.2 6.2@4 6.3@11 6.4@19 6.5@20 6.6@22 6.8@25 6.9@27 6.10@37 6.11@40
dpio: 4.2 4.3@17
dpmac: 4.2 4.3@11 4.4@15 4.5@20 4.6@21 4.7@22 4.8@32 4.9@37 4.10@39 4.11@40
dpmcp: 4.0 4.1@32
dpni: 7.1 7.2@2.2 7.3@3 7.4@5 7.5@7 7.6@8.1 7.7@9 7.8@11 7.9@14 7.10@16 7.11@17 7.13@18 7.14@19 7.15@22 7.16@23 7.17@28 8.0@29 8.1@30 8.2@32 8.3@33 8.4@34 8.5@39 8.6@40
dprc: 6.1 6.2@4 6.3@5 6.4@20 6.5@21 6.6@23 6.7@30
dprtc: 2.0 2.1@16 2.2@20 2.3@25
dpseci: 5.0 5.1@2.2 5.3@7 5.4@22 5.3@23 5.4@35
dpsparser: 1.0@12 1.1@29
dpsw: 8.0 8.1@2.2 8.2@6 8.3@11 8.4@19 8.5@20.4 8.6@22 8.7@23 8.8@25 8.9@28 8.10@30 8.11@31 8.12@35 8.13@38 8.14@40
`;
