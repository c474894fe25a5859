"""What bao starts, as one file with a checksum; see bundle.py."""

from legalcloud_kms.main import main

raise SystemExit(main())
