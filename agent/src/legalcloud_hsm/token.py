"""A session with one token of this node, logged in, under the user who owns it."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Callable, Iterator

from PyKCS11 import LowLevel

from legalcloud_hsm.errors import PlaceError
from legalcloud_hsm.places import TokenPlace
from legalcloud_kms.choice import choose_token
from legalcloud_kms.errors import KmsError, TokenAbsentError
from legalcloud_kms.pins import PinLatch
from legalcloud_kms.pkcs11 import Library, Session


def become(user: str) -> None:
    """Give up root for good: a vendor's library needs no more than its token's owner may."""
    if os.geteuid() != 0 or user == "root":
        return
    account = _account(user)
    os.initgroups(user, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


@contextlib.contextmanager
def briefly(user: str) -> Iterator[None]:
    """Be that user for a while, where root is needed afterwards."""
    if os.geteuid() != 0 or user == "root":
        yield
        return
    account = _account(user)
    groups = os.getgroups()
    os.initgroups(user, account.pw_gid)
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise PlaceError(f"there is no user {user} on this node. Run role hsm, which makes it") from None


def kept(pin: Callable[[], str]) -> Callable[[], str]:
    """Read the PIN now, while root can, and tell of a failure only when it is asked for."""
    try:
        text = pin()
    except KmsError as error:
        failure = error

        def fail() -> str:
            raise failure

        return fail
    return lambda: text


def prepare(place: TokenPlace) -> None:
    """Set what the library reads from the environment. To be called before a user is given up who may look."""
    if place.softhsm_folder is not None and not place.softhsm_folder.exists():
        raise TokenAbsentError(f"no token with {place.selector}; {place.softhsm_folder} is not there")
    os.environ.update(place.environment)


@contextlib.contextmanager
def session(place: TokenPlace, pin: Callable[[], str], *, writing: bool = False, source: str = "") -> Iterator[Session]:
    """Open the one token that the place means, and try its PIN once; the source is where an error says it was."""
    library = Library(place.library)
    token = choose_token(library.tokens(), place.selector)
    try:
        with library.session(token, LowLevel.CKF_RW_SESSION if writing else 0) as opened:
            PinLatch().log_in(token, pin(), source or str(place.credential), opened.log_in)
            yield opened
    finally:
        library.unload()
