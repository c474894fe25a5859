"""The program /usr/local/sbin/legalcloud-hsm; legalcloud_kms.bundle makes the file."""

import sys

from legalcloud_hsm.main import main

sys.exit(main())
