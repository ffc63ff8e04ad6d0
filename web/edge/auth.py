"""Who is asking: an API token or the session cookie; sessions and log-in by Flask-Security over `mapex.people.persons`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

from flask import Flask, current_app, g, request, session
from flask_login import current_user, user_logged_in, user_logged_out
from flask_security import RoleMixin, Security, UserMixin
from flask_security.datastore import UserDatastore
from flask_security.forms import Form
from flask_security.utils import login_user, logout_user
from flask_wtf.csrf import validate_csrf
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from mapex.config import Settings
from mapex.errors import Denied, MapexError
from mapex.exchange import Actor, Exchange
from mapex.people import persons, tokens
from mapex.people.persons import Person
from web.edge import visitors
from web.edge.errors import retry_later
from web.edge.headers import local_path
from web.edge.policy import NotSignedIn, authorize, policy, policy_of

log = logging.getLogger(__name__)

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SESSION_HOURS = 12
_OWN_ORIGIN = frozenset({"same-origin", "none"})
MOST_CHARACTERS = 255
"""Of an e-mail address or a password in the form."""


def exchange() -> Exchange:
    """The exchange that this application serves."""
    return cast(Exchange, current_app.extensions["mapex"])


def bearer() -> str | None:
    """The API token of the request, or None."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def maybe_actor() -> Actor | None:
    """Who asks, or None.

    Raises: NotSignedIn: a token was sent and is not valid (a wrong token is never taken for a visitor).
    """
    if "actor" not in g:
        g.actor = _identified()
    return cast("Actor | None", g.actor)


def current_actor() -> Actor:
    """Who asks.

    Raises: NotSignedIn.
    """
    actor = maybe_actor()
    if actor is None:
        raise NotSignedIn("login.required", "Sign in, or send an API token as `Authorization: Bearer mpx_...`.")
    return actor


def current_person() -> Person | None:
    """The person of the session cookie (pages), or None."""
    return current_user.person if current_user.is_authenticated else None


def sign_in(person: Person) -> None:
    """Open a session for a person who has just proved to be it; whoever was signed in before is signed out."""
    if current_user.is_authenticated:
        logout_user()
    login_user(User(person))


def guard() -> None:
    """Before each request: authorize it by the policy of its route, and refuse forged requests of a session.

    Raises: NotSignedIn, Denied, TooManyRequests.
    """
    if request.endpoint is None:
        return
    wanted = policy_of(current_app.view_functions[request.endpoint])
    assert wanted is not None, "check_routes ran at start"
    if wanted.is_public:
        return
    if wanted.visitors and exchange().settings.public_prices and visitors.is_visitor():
        g.actor = None
        visitors.admit()
        return
    authorize(maybe_actor(), wanted)
    if request.method in UNSAFE and bearer() is None:
        check_forgery()


def _identified() -> Actor | None:
    secret = bearer()
    if secret is not None:
        actor = tokens.actor_of(exchange(), secret)
        if actor is None:
            raise NotSignedIn("token.unknown", "This API token is unknown, expired or revoked; make another one on the account page.")
        return actor
    person = current_person()
    return person.actor if person else None


def check_forgery() -> None:
    """A session is a cookie, which a browser sends for any site: the request must come from our own page and know its secret."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in _OWN_ORIGIN:
        raise Denied("csrf.origin", "This request came from another site and was refused; open the page here and repeat.")
    try:
        validate_csrf(request.headers.get("X-CSRF-Token") or request.form.get("csrf_token"))
    except ValidationError as error:
        raise Denied("csrf.token", "This page is too old or incomplete; load it again and repeat.") from error


class User(UserMixin):
    """A person as Flask-Security wants to see one; the session refers to `session_key`, so changing that ends all sessions."""

    fs_uniquifier = ""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.id = person.id  # type: ignore[assignment]
        self.email = person.email
        self.active = person.is_active
        self.fs_uniquifier = person.session_key
        self.roles = []


class Role(RoleMixin):
    """Roles are words of `persons`; Flask-Security needs a class."""


class People(UserDatastore):
    """Reads persons through the service; nothing is changed here."""

    def __init__(self) -> None:
        super().__init__(User, Role)

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> User | None:
        """The user with this `fs_uniquifier`, `email` or `id`."""
        del case_insensitive
        names = {"fs_uniquifier": "session_key", "email": "email", "id": "person_id"}
        [(key, value)] = kwargs.items()
        person = persons.get_person(exchange(), **{names[key]: str(value)})
        return User(person) if person else None

    def find_role(self, role: str) -> None:
        """Nothing: policies look at the actor."""
        del role

    def commit(self) -> None:
        """Nothing to write."""


class LoginForm(Form):
    """E-mail and password; one answer for unknown, wrong and suspended, equally slow.

    `next` is where one wanted to be. Flask-Security goes there only if it is on this site, else to the map; that is no reason to refuse
    the log-in, as its own form does.
    """

    email = StringField(validators=[InputRequired(), Length(max=MOST_CHARACTERS)])
    password = PasswordField(validators=[InputRequired(), Length(max=MOST_CHARACTERS)])
    next = HiddenField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.next.data:
            self.next.data = request.args.get("next", "")
        self.user: User | None = None
        self.refusal: MapexError | None = None
        self.user_authenticated = False
        self.requires_confirmation = False
        self.ifield = self.email

    def validate(self, **kwargs: Any) -> bool:
        """Whether the form is whole and the password fits."""
        if not super().validate(**kwargs):
            return False
        try:
            person = persons.verify_password(exchange(), self.email.data or "", self.password.data or "")
        except MapexError as busy:
            self.refusal = busy
            retry_later(busy)
            return False
        if person is None:
            persons.note_session(exchange(), None, "refused", email=self.email.data or "")
            self.refusal = Denied("login.refused", "E-mail or password is wrong; try again.")
            return False
        self.user = User(person)
        self.user_authenticated = True
        return True


def install(app: Flask) -> None:
    """Sessions, log-in and log-out views."""
    app.config.update(_configuration(cast(Exchange, app.extensions["mapex"]).settings))
    security = Security(app, People(), login_form=LoginForm)
    security.want_json(lambda _: False)
    # Only a session makes a person known here: API tokens are ours (`bearer`), and the library's would be looked for in every JSON body,
    # before anybody was allowed to send one.
    cast(Any, app).login_manager.request_loader(lambda _: None)
    for endpoint in ("security.login", "security.logout"):
        app.view_functions[endpoint] = policy("public")(_staying_here(app.view_functions[endpoint]))
    user_logged_in.connect(_opened, app)
    user_logged_out.connect(_closed, app)


def _configuration(settings: Settings) -> dict[str, Any]:
    secure = settings.secure_cookies == "yes" or (settings.secure_cookies == "auto" and settings.public_url.startswith("https:"))
    return dict(
        SECRET_KEY=settings.secret_key,
        # The __Host- prefix makes browsers refuse the cookie from a sub-domain or plain http; it needs https.
        SESSION_COOKIE_NAME="__Host-mapex" if secure else "mapex",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(hours=SESSION_HOURS),
        SECURITY_PASSWORD_SALT=settings.secret_key,  # never used: passwords are hashed by `passwords`
        SECURITY_FLASH_MESSAGES=False,
        SECURITY_STATIC_FOLDER=None,
        SECURITY_FRESHNESS=timedelta(minutes=-1),
        SECURITY_LOGIN_USER_TEMPLATE="public/login.html",
        SECURITY_POST_LOGIN_VIEW="/explore",
        SECURITY_POST_LOGOUT_VIEW="/",
        SECURITY_LOGOUT_CSRF=True,
        SECURITY_LOGOUT_USER_TEMPLATE="public/logout.html",
        SECURITY_I18N_DIRNAME=[],
        WTF_CSRF_TIME_LIMIT=SESSION_HOURS * 3600,
    )


def _staying_here(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view of the library that never hears of a `next` which is no path of ours: some it follows, on others it fails."""

    @wraps(view)
    def seen() -> Any:
        for part in ("args", "form"):
            given: MultiDict[str, str] = getattr(request, part)
            kept = [(name, text) for name, text in given.items(multi=True) if name != "next" or local_path(text, "")]
            setattr(request, part, ImmutableMultiDict(kept))
        return view()

    return seen


def _opened(app: Flask, user: User, **_: Any) -> None:
    del app
    session.permanent = True
    g.pop("actor", None)
    persons.note_session(exchange(), user.person.actor, "opened")


def _closed(app: Flask, user: Any, **_: Any) -> None:
    del app
    if isinstance(user, User):
        persons.note_session(exchange(), user.person.actor, "closed")
