"""Runs on a node, from standard input: tries to take every key out of a token, and says what the token answered.

Takes the token's name in /etc/legalcloud/hsm.json. A session key that may leave is tried the same way, so that an
attempt which never works is noticed.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import PyKCS11
from PyKCS11 import LowLevel

TAKEN = "taken out"
P384 = bytes.fromhex("06052b81040022")
CONTROL = "control"
WRAP = PyKCS11.Mechanism(LowLevel.CKM_AES_KEY_WRAP_PAD, None)


def answer(attempt: Callable[[], object]) -> str:
    try:
        return TAKEN if attempt() else "no value"
    except PyKCS11.PyKCS11Error as error:
        return str(error)


def value_of(session: PyKCS11.Session, key: object) -> bool:
    """Ask as plainly as PKCS#11 lets one; PyKCS11's own way hides why there is no value."""
    wish = LowLevel.ckattrlist(1)
    wish[0].SetType(LowLevel.CKA_VALUE)
    if (code := session.lib.C_GetAttributeValue(session.session, key, wish)) != LowLevel.CKR_OK:
        raise PyKCS11.PyKCS11Error(code)
    return True


def change(session: PyKCS11.Session, key: object, attribute: int, *, wanted: bool) -> bool:
    session.setAttributeValue(key, [(attribute, wanted)])
    return True


def main() -> None:
    place = json.loads(Path("/etc/legalcloud/hsm.json").read_bytes())["tokens"][sys.argv[1]]
    words = ["systemd-creds", "decrypt", f"--name={Path(place['pin']).name}", place["pin"], "-"]
    pin = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    account = pwd.getpwnam(place["user"])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    os.environ.update(place["environment"])
    library = PyKCS11.PyKCS11Lib()
    library.load(place["lib"])
    (slot,) = [
        slot
        for slot in library.getSlotList(tokenPresent=True)
        if library.getTokenInfo(slot).label.strip("\0 ") == place["token_label"]
    ]
    session = library.openSession(slot, LowLevel.CKF_RW_SESSION)
    session.login(pin)
    usable = [(LowLevel.CKA_TOKEN, False), (LowLevel.CKA_SENSITIVE, False), (LowLevel.CKA_EXTRACTABLE, True)]
    wrapping = session.generateKey([*usable, (LowLevel.CKA_WRAP, True), (LowLevel.CKA_VALUE_LEN, 32)])
    session.generateKey([*usable, (LowLevel.CKA_LABEL, CONTROL), (LowLevel.CKA_VALUE_LEN, 32)])
    public = [(LowLevel.CKA_TOKEN, False), (LowLevel.CKA_EC_PARAMS, P384)]
    generate = PyKCS11.Mechanism(LowLevel.CKM_EC_KEY_PAIR_GEN, None)
    session.generateKeyPair(public, [*usable, (LowLevel.CKA_LABEL, f"{CONTROL}-ec")], generate)

    told = {}
    for kind in (LowLevel.CKO_SECRET_KEY, LowLevel.CKO_PRIVATE_KEY):
        for key in session.findObjects([(LowLevel.CKA_CLASS, kind)]):
            label = session.getAttributeValue(key, [LowLevel.CKA_LABEL])[0]
            if not label:
                continue  # the key that wraps
            told[label] = {
                "read its value": answer(partial(value_of, session, key)),
                "wrap it": answer(partial(session.wrapKey, wrapping, key, WRAP)),
                "make it extractable": answer(partial(change, session, key, LowLevel.CKA_EXTRACTABLE, wanted=True)),
                "make it plain": answer(partial(change, session, key, LowLevel.CKA_SENSITIVE, wanted=False)),
            }
    session.closeSession()
    print(json.dumps(told))  # noqa: T201 -- the answer of a program


main()
