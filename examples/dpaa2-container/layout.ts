/** What a boot loader gives the firmware: a MAC, and three command portals for Linux. */
export const LAYOUT = `/dts-v1/;
/ {
	dpl-version = <10>;
	containers {
		dprc@1 {
			compatible = "fsl,dprc";
			parent = "none";
			options = "DPRC_CFG_OPT_SPAWN_ALLOWED", "DPRC_CFG_OPT_ALLOC_ALLOWED", "DPRC_CFG_OPT_IRQ_CFG_ALLOWED";
			objects {
				obj_set@dpmac { type = "dpmac"; ids = <3>; };
				obj_set@dpmcp { type = "dpmcp"; ids = <1 2 3>; };
			};
		};
	};
	objects {
		dpmac@3 { compatible = "fsl,dpmac"; };
		dpmcp@1 { compatible = "fsl,dpmcp"; };
		dpmcp@2 { compatible = "fsl,dpmcp"; };
		dpmcp@3 { compatible = "fsl,dpmcp"; };
	};
};
`;
