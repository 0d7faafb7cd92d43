"""One run in the journal: its records wait for each sink until that has, or refuses, them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from ...records.schema import OUTCOMES, RunRecord
from ...records.values import encode
from .lock import GLANCE, Claim
from .rows import COLUMNS, ILLEGIBLE, NOT_SENT, Account, Leased, RunInfo
from .salvage import legible, plain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from ...records.schema import Record
    from .database import Journal

Order = Literal["run first", "worst first", "run last"]
"""In which order a flush sends: the run's own record first, or with those of nodes that failed
behind it, or once nothing else is left to send, in a flush that follows."""

_FIRST: Final = -2.0
_WORST: Final = -1.0
"""Due before all that has ever been put."""
_LAST: Final = 1e18


class JournalRun:
    """The records of a run that this process has claimed: put, lease, settle.

    The newest record of a key replaces an older one. A leased record is settled in one of three
    ways, and nothing else takes it out of what waits; the lease itself ends with the process.
    Holds no clock: the caller gives the time in seconds.
    """

    def __init__(self, journal: Journal, info: RunInfo, token: str, number: int = 0) -> None:
        self.id = number
        self.info = info
        self.lost = 0
        """Records that an owner before had committed and that are in the journal no more."""
        self._journal = journal
        self._token = token
        self._claim: Claim | None = None
        self._puts = 0
        self._leased: dict[str, dict[str, int]] = {name: {} for name in info.sinks}
        """What is on its way to each sink: keys and versions."""
        self._settled: dict[str, set[tuple[str, int]]] = {name: set() for name in info.sinks}
        """What is not to come back: a damaged index can bring it back for ever."""
        self._unsettled: dict[str, tuple[Record, set[str]]] = {}
        """What a journal that takes this one's place has to be told."""

    @classmethod
    def find(cls, journal: Journal, number: int) -> JournalRun:
        """A run that is in the journal, to be claimed; LookupError if it is not, or illegible."""
        rows = journal.fetch(
            f"select token, {', '.join(COLUMNS)} from run where id = ?",  # noqa: S608
            (number,),
        )
        if not rows:
            raise LookupError(number)
        token, *values = rows[0]
        if not re.fullmatch(r"[a-z0-9-]+", str(token)):  # it is a file's name too
            raise LookupError(number)
        sinks: Any = journal.fetch(
            "select name, address from sink where run = ? order by id", (number,)
        )
        try:
            info = RunInfo.of(values, sinks)
        except (TypeError, ValueError) as error:
            raise LookupError(number) from error
        return cls(journal, info, token, number)

    def enter(self, db: sqlite3.Connection) -> None:
        """Write down that there is this run; in a transaction, since nobody may see the run
        before it is claimed."""
        done = db.execute(
            f"insert into run (token, {', '.join(COLUMNS)})"  # noqa: S608
            f" values ({', '.join('?' * (len(COLUMNS) + 1))})",
            (self._token, *self.info.row),
        )
        self.id = done.lastrowid or 0
        self._enter_sinks(db)
        path = self._journal.claim_path(self._token)
        if path is not None and (self._claim is None or not path.exists()):
            self._claim = Claim.take(path, GLANCE)

    def claim(self) -> bool:
        """Whether this process has the run now, and nobody else."""
        path = self._journal.claim_path(self._token)
        if path is not None:
            self._claim = Claim.take(path, GLANCE)
            if self._claim is None:
                return False
            self._puts = self._journal.fetch(
                "select coalesce(sum(version), 0) from record where run = ?", (self.id,)
            )[0][0]
            self.lost = max(0, self._claim.noted() - self._puts)
        # What the time was when it was due is another process's notion.
        self._journal.fetch("update delivery set due = 0 where run = ?", (self.id,))
        return True

    def locate(self, target_dir: str) -> None:
        """Say where dbt's artifacts of the run are, once that is known."""
        if target_dir != self.info.target_dir:
            self.info = replace(self.info, target_dir=target_dir)
            self._journal.fetch("update run set target_dir = ? where id = ?", (target_dir, self.id))

    def put(self, record: Record, now: float, only: Iterable[str] | None = None) -> None:
        """Take a record that is new, or newer than the one of its key that was put before.

        It is for every sink of the run, or `only` for some. When this returns, the death of this
        process cannot lose it.
        """
        sinks = set(self.info.sinks if only is None else only)

        def insert(db: sqlite3.Connection) -> None:
            if sinks:
                self._unsettled[record.key] = (record, sinks)
            self._insert(db, record, sinks, now)

        self._journal.transact(insert)
        if self._journal.file is None:
            self._journal.forgo(record.key)
        elif self._claim is not None:
            self._puts += 1
            self._claim.note(self._puts)

    def lease(self, sink: str, now: float) -> Leased | None:
        """The record that is due and has waited longest, if any. It has to be settled."""
        taken = self._leased[sink]
        rows = self._journal.fetch(
            "select key, version, body from delivery left join record using (run, key)"
            " where run = ? and sink = ? and state = 'waiting' and due <= ?"
            " order by due, delivery.id limit ?",
            (self.id, sink, now, len(taken) + 1),
        )
        for key, version, body in rows:
            if key in taken:
                continue
            record = legible(body, key)
            if (key, version) in self._settled[sink]:
                self._journal.set_aside("it has as waiting what it was told is settled")
                return None
            if record is None:
                self._mend(sink, key, version)
                return None
            taken[key] = version
            return Leased(record, version)
        return None

    def acknowledge(self, sink: str, leased: Leased) -> None:
        """The sink has it."""
        self._settle(sink, leased, "delivered", None)

    def bury(self, sink: str, leased: Leased, reason: str) -> None:
        """The sink will never take it."""
        self._settle(sink, leased, "rejected", reason)

    def put_back(self, sink: str, leased: Leased, due: float, reason: str) -> None:
        """Try it again at `due`, or the newer one of its key if that came meanwhile."""
        key = leased.record.key
        self._journal.fetch(
            "update delivery set due = ?, reason = ? where run = ? and sink = ? and key = ?",
            (due, reason, self.id, sink, key),
        )
        del self._leased[sink][plain(key)]

    def reword(self, sink: str, reason: str, true: str) -> None:
        """Say something else of what waits for this reason, which was none."""
        self._journal.fetch(
            "update delivery set reason = ? where run = ? and sink = ? and state = 'waiting'"
            " and reason = ?",
            (true, self.id, sink, reason),
        )

    def hasten(self, sink: str, now: float, order: Order) -> None:
        """All that waits is due now, in this order and else in its own."""
        self.hasten_own(sink)
        self._journal.fetch(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and due > ?",
            (now, self.id, sink, now),
        )
        if order == "run last":
            self.hasten_own(sink, _LAST)
        elif order == "worst first":
            self._journal.fetch(
                "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
                " and key in (select key from record where run = ?"
                " and outcome in ('failure', 'interrupted'))",
                (_WORST, self.id, sink, self.id),
            )

    def hasten_own(self, sink: str, due: float = _FIRST) -> None:
        """The run's own record is next: whoever waits for a node needs it most."""
        self._journal.fetch(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and key = ?",
            (due, self.id, sink, RunRecord.key),
        )

    def next_due(self, sink: str) -> float | None:
        """When the next record may be leased; None if none can be before another is settled."""
        taken = self._leased[sink]
        rows = self._journal.fetch(
            "select key, due from delivery where run = ? and sink = ? and state = 'waiting'"
            " order by due, id limit ?",
            (self.id, sink, len(taken) + 1),
        )
        return next((due for key, due in rows if key not in taken), None)

    def is_sending(self, sink: str) -> bool:
        return bool(self._leased[sink])

    def account(self, sink: str) -> Account:
        """What has become of every record that was put."""
        rows = self._journal.fetch(
            "select key, state, reason from delivery where run = ? and sink = ? order by id",
            (self.id, sink),
        )
        return Account(
            {key for key, state, _ in rows if state == "delivered"},
            {key: reason or NOT_SENT for key, state, reason in rows if state == "waiting"},
            {key: reason for key, state, reason in rows if state == "rejected"},
        )

    def records(self) -> list[Record]:
        """The newest record of each key, in the order in which the keys came."""
        rows = self._journal.fetch(
            "select key, body from record where run = ? order by id", (self.id,)
        )
        found = (legible(body, key) for key, body in rows)
        return [record for record in found if record is not None]

    def outcomes(self) -> dict[str, int]:
        """Nodes by outcome."""
        counts = dict(
            self._journal.fetch(
                "select outcome, count(*) from record where run = ? group by 1", (self.id,)
            )
        )
        return {outcome: counts[outcome] for outcome in OUTCOMES if outcome in counts}

    def reconsider(self) -> None:
        """What was rejected waits again."""
        for settled in self._settled.values():
            settled.clear()
        self._journal.fetch(
            "update delivery set state = 'waiting', due = 0 where run = ? and state = 'rejected'",
            (self.id,),
        )

    @property
    def has_owner(self) -> bool:
        """Whether a living process has claimed it."""
        path = self._journal.claim_path(self._token)
        return path is not None and Claim.is_taken(path)

    def delete(self) -> None:
        """Forget the run and its records; this process has claimed it, and closes it next."""

        def delete(db: sqlite3.Connection) -> None:
            for table in ("delivery", "record", "sink"):
                db.execute(f"delete from {table} where run = ?", (self.id,))  # noqa: S608
            db.execute("delete from run where id = ?", (self.id,))

        self._journal.transact(delete)

    def close(self) -> None:
        """Leave what waits to whoever adopts the run."""
        self._journal.release(self)
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def checkpoint(self) -> None:
        """See `Journal.checkpoint`."""
        self._journal.checkpoint()

    def move(self, db: sqlite3.Connection) -> None:
        """Go on in a journal that takes the place of another, and may hold what was legible of it.

        By the token, since ids begin anew.
        """
        for settled in self._settled.values():
            settled.clear()
        db.execute("begin immediate")
        # Where the run itself could not be read, its records may be under its number.
        db.execute(
            "update run set token = ? where id = ? and token = ?",
            (self._token, self.id, f"nameless-{self.id}"),
        )
        row = db.execute("select id from run where token = ?", (self._token,)).fetchone()
        if row is None:
            self.enter(db)
        else:
            self.id = row[0]
            self._enter_sinks(db)
        for key, (record, sinks) in self._unsettled.items():
            row = db.execute(
                "select body from record where run = ? and key = ?", (self.id, key)
            ).fetchone()
            if row is None or row[0] != encode(record.to_json()):
                # None that is on its way under this key may be taken for it.
                flown = [leased.get(plain(key), 0) for leased in self._leased.values()]
                self._insert(db, record, sinks, 0.0, 1 + max(flown, default=0))
        db.execute("commit")

    def _enter_sinks(self, db: sqlite3.Connection) -> None:
        for name, address in self.info.sinks.items():
            db.execute(
                "insert or ignore into sink (run, name, address) values (?, ?, ?)",
                (self.id, name, json.dumps(address)),
            )

    def _insert(
        self,
        db: sqlite3.Connection,
        record: Record,
        sinks: set[str],
        now: float,
        version: int = 1,
    ) -> None:
        outcome, body = getattr(record, "outcome", None), encode(record.to_json())
        db.execute(
            "insert into record (run, key, version, outcome, body) values (?, ?, ?, ?, ?)"
            " on conflict (run, key) do update set version = version + 1,"
            " outcome = excluded.outcome, body = excluded.body",
            (self.id, record.key, version, outcome, body),
        )
        for sink in sinks:
            db.execute(
                "insert into delivery (run, sink, key, due) values (?, ?, ?, ?)"
                " on conflict (run, sink, key) do update set state = 'waiting',"
                " due = case state when 'waiting' then due else excluded.due end,"
                " reason = case state when 'waiting' then reason end",
                (self.id, sink, record.key, now),
            )

    def _settle(self, sink: str, leased: Leased, state: str, reason: str | None) -> None:
        key = leased.record.key

        def settle(db: sqlite3.Connection) -> None:
            done = db.execute(
                "update delivery set state = ?, reason = ? where run = ? and sink = ? and key = ?"
                " and (select version from record where run = ? and key = ?) = ?",
                (state, reason, self.id, sink, key, self.id, key, leased.version),
            )
            if done.rowcount and key in self._unsettled:
                self._unsettled[key][1].discard(sink)
                if not self._unsettled[key][1]:
                    del self._unsettled[key]

        self._journal.transact(settle)
        self._settled[sink].add((plain(key), leased.version))
        del self._leased[sink][plain(key)]

    def _mend(self, sink: str, key: str, version: int) -> None:
        """Write a record that cannot be read once more, or take it out of what waits."""
        self._settled[sink].add((key, version))
        known = next((r for r, _ in self._unsettled.values() if plain(r.key) == key), None)
        if known is not None:
            self._journal.transact(lambda db: self._insert(db, known, set(), 0.0))
            return
        self._journal.fetch(
            "update delivery set state = 'rejected', reason = ?"
            " where run = ? and sink = ? and key = ?",
            (ILLEGIBLE, self.id, sink, key),
        )
