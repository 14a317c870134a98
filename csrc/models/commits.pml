/* How commits reach the audio thread and come back, as a model for SPIN: engine.c, block_cycle.c, queue.h, and the fate in commit.c. Checked
 * exhaustively by tests/csrc/test_models.py, for three commits, two slots in each queue, four blocks and every order in which threads may
 * be interrupted:
 *
 * - every commit that was submitted comes back exactly once, and what has no date in the order in which it was submitted;
 * - a commit is carried out or withdrawn, never both, and a date is never anticipated;
 * - nothing is freed while it is in use, and everything is freed once;
 * - the engine's own data is touched by one thread at a time; nobody waits for ever, and nothing is left lying when all have gone home.
 *
 * Each access to something that two threads share is a step of its own; what a thread has for itself is joined to the step before. SPIN takes
 * the steps of all threads to be seen in one order. That the C code may be taken so is what its acquires, releases and seq_cst are for, and what
 * ThreadSanitizer watches; BREAK_ORDER shows what becomes of one that is missing. Each BREAK_ takes one thing away, and must be found. */

#define COMMITS 3 /* numbered from 1 */
#define SLOTS 2   /* TZ_QUEUE_SLOTS */
#define LAST 3    /* frame, in blocks: from there on time stands, which keeps the model finite */
#define PIECES 2  /* in which a state is copied */
#ifndef TURNS
#define TURNS 1   /* of starting, stopping or stepping */
#endif

mtype = { NOBODY, THREAD, CALLER };  /* tz_holder */
mtype = { OPEN, TAKEN, WITHDRAWN };  /* tz_fate */
mtype = { IDLE, RUNS, ENDED };       /* the engine's thread, for pthread_join */

/* ---- struct tz_engine ---- */

mtype holder = NOBODY, thread = IDLE;
bool stop;
byte frame, plan; /* the plan that runs: that of the commit with this number; 0: none yet */
byte waiting[SLOTS], waiting_first, waiting_count; /* `due` there */
byte copying, pieces;
bool ring_the_bell, bell; /* telemetry: to be rung at the end of the block; the eventfd */
byte outstanding;
bool copy_outstanding;

typedef queue { byte pushed, popped, slots[SLOTS] }
queue incoming, outgoing;

/* ---- struct tz_commit ---- */

typedef commit {
	mtype fate = OPEN;
	byte due, plan; /* plan: before adoption its own, after it the one it displaced */
	bool copies, submitted, adopted, withdrawn, back, freed
}
commit commits[COMMITS + 1];
bool plan_freed[COMMITS + 1];

/* ---- What has to hold ---- */

byte inside; /* threads at the engine's own data */
byte newest; /* the last commit without a date that was carried out */
bool pool_done;

inline enter() { d_step { assert(inside == 0); inside++ } }
inline leave() { inside-- }

inline free_plan(number)
{
	if
	:: number != 0 -> assert(!plan_freed[number]); plan_freed[number] = true
	:: else
	fi
}

inline free_commit(number) /* tz_commit_release */
{
	assert(commits[number].submitted && !commits[number].freed);
	commits[number].freed = true;
	free_plan(commits[number].plan)
}

/* ---- queue.h ---- */

inline push(q, item)
{
	d_step {
		assert(q.pushed - q.popped < SLOTS); /* has room: see `outstanding` */
		q.slots[q.pushed % SLOTS] = item
	}
	q.pushed = q.pushed + 1
}

inline pop(q, item) /* 0: none */
{
	item = 0;
	if
	:: d_step { q.popped != q.pushed -> item = q.slots[q.popped % SLOTS] }
		q.popped = q.popped + 1
	:: d_step { q.popped == q.pushed }
	fi
}

/* ---- commit.c: decide ---- */

inline decide(number, wanted, decided)
{
#ifdef BREAK_FATE /* looked at, and then written */
	decided = commits[number].fate == OPEN;
	if
	:: decided -> commits[number].fate = wanted
	:: else
	fi
#else
	d_step {
		assert(!commits[number].freed);
		decided = commits[number].fate == OPEN;
		if
		:: decided -> commits[number].fate = wanted
		:: else
		fi
	}
#endif
}

/* ---- block_cycle.c ---- */

inline give_back(number)
{
#ifdef BREAK_BELL /* rung before there is anything to be fetched */
	bell = true;
	push(outgoing, number)
#else
	push(outgoing, number);
	ring_the_bell = true
#endif
}

inline adopt(number) /* tz_commit_adopt */
{
	d_step {
		assert(!commits[number].withdrawn && !commits[number].adopted && frame >= commits[number].due);
		commits[number].adopted = true;
		if
		:: commits[number].due == 0 && !commits[number].copies -> assert(number > newest); newest = number
		:: else
		fi;
		if
#ifdef BREAK_FREE /* a commit takes its plan home again, though it runs */
		:: !commits[number].copies -> plan = commits[number].plan
#else
		:: !commits[number].copies -> scratch = plan; plan = commits[number].plan; commits[number].plan = scratch
#endif
		:: else
		fi
	}
}

inline settle(number)
{
	decide(number, TAKEN, mine);
	if
	:: mine ->
		adopt(number);
		if
		:: commits[number].copies -> d_step { assert(copying == 0); copying = number; pieces = PIECES }
		:: else -> give_back(number)
		fi
	:: else -> give_back(number)
	fi
}

inline copy_on(whole) /* tz_copy_on */
{
	if
	:: copying != 0 ->
		pieces = (whole -> 0 : pieces - 1);
		if
		:: pieces == 0 -> item = copying; copying = 0; give_back(item)
		:: else
		fi
	:: else
	fi
}

inline settle_due()
{
	do
	:: waiting_count > 0 ->
		item = waiting[waiting_first];
		if
		:: commits[item].due > frame && commits[item].fate == OPEN -> break
		:: else
		fi;
		d_step { waiting_first = (waiting_first + 1) % SLOTS; waiting_count-- };
		settle(item)
	:: else -> break
	od
}

inline adopt_waiting() /* tz_adopt_waiting */
{
	settle_due();
	do
	:: true ->
		pop(incoming, item);
		if
		:: item == 0 -> break
		:: item != 0 && commits[item].due > frame ->
			d_step {
				assert(waiting_count < SLOTS);
				waiting[(waiting_first + waiting_count) % SLOTS] = item;
				waiting_count++
			}
		:: else -> settle(item)
		fi
	od
}

inline ring() /* tz_telemetry_ring */
{
	if
	:: ring_the_bell -> ring_the_bell = false; bell = true
	:: else
	fi
}

inline block_cycle() /* tz_block_cycle */
{
	adopt_waiting();
	copy_on(false);
	assert(plan == 0 || !plan_freed[plan]); /* tz_plan_run begins */
	d_step {
		assert(plan == 0 || !plan_freed[plan]); /* and ends, with anything at all having happened in between */
		frame = (frame < LAST -> frame + 1 : frame)
	};
	ring()
}

/* ---- engine.c ---- */

inline take(who, taken)
{
	d_step {
		taken = holder == NOBODY;
		if
		:: taken -> holder = who
		:: else
		fi
	}
}

inline give_up()
{
	do
	:: true ->
		copy_on(true);
		ring();
		leave();
		holder = NOBODY;
#ifdef BREAK_GIVE_UP /* and does not look back */
		break
#else
		if
		:: d_step { incoming.popped == incoming.pushed } -> break
		:: else
		fi;
		take(CALLER, held);
		if
		:: held -> enter(); adopt_waiting()
		:: else -> break
		fi
#endif
	od
}

proctype Thread() /* thread_body: clock.c's loops */
{
	byte item, scratch;
	bool mine;
	do
	:: !stop -> block_cycle()
	:: stop -> break
	od;
	thread = ENDED
}

/* The thread that starts, stops and steps: daemon/runtime.py lets one of them happen at a time. */
active proctype Pool()
{
	byte item, scratch, turns, blocks;
	bool mine, held;
	do
	:: turns < TURNS ->
		turns++;
		if
		:: take(THREAD, held); /* tz_engine_start, then tz_engine_stop */
			if
			:: held ->
				enter();
				d_step { stop = false; thread = RUNS };
				run Thread();
				stop = true;
				thread == ENDED; /* pthread_join */
				d_step { thread = IDLE; stop = false };
				give_up()
			:: else /* TZ_BUSY */
			fi
		:: take(CALLER, held); /* tz_engine_step */
			if
			:: held ->
				enter();
				blocks = 0;
				do
				:: blocks < 2 -> blocks++; block_cycle()
				:: true -> break
				od;
				give_up()
			:: else
			fi
		fi
	:: true -> break
	od;
	pool_done = true
}

inline submit(number) /* tz_engine_submit */
{
	d_step { outstanding++; commits[number].submitted = true; copy_outstanding = copy_outstanding || commits[number].copies };
#ifdef BREAK_ORDER /* `pushed` is seen by others only after the holder was looked at */
	incoming.slots[incoming.pushed % SLOTS] = number;
	take(CALLER, held);
	incoming.pushed = incoming.pushed + 1;
#else
	push(incoming, number);
	take(CALLER, held);
#endif
	if
	:: held -> enter(); adopt_waiting(); give_up()
	:: else
	fi
}

inline take_back() /* tz_engine_events */
{
	do
	:: true ->
		pop(outgoing, item);
		if
		:: item == 0 -> break
		:: else ->
			d_step {
				assert(!commits[item].back && (commits[item].adopted || commits[item].withdrawn));
				assert(commits[item].fate == (commits[item].adopted -> TAKEN : WITHDRAWN));
				commits[item].back = true;
				outstanding--;
				copy_outstanding = copy_outstanding && !commits[item].copies;
				free_commit(item)
			}
		fi
	od
}

/* When both have gone home: nothing lies where nobody would look for it. Then tz_engine_release. */
inline release()
{
	d_step {
		assert(holder == NOBODY && incoming.pushed == incoming.popped && copying == 0);
		assert(outgoing.pushed == outgoing.popped || bell);
		do
		:: outgoing.pushed != outgoing.popped ->
			item = outgoing.slots[outgoing.popped % SLOTS];
			outgoing.popped++;
			assert(!commits[item].back);
			commits[item].back = true;
			free_commit(item)
		:: else -> break
		od;
		do
		:: waiting_count > 0 ->
			item = waiting[waiting_first];
			assert(commits[item].due > 0 && !commits[item].back);
			free_commit(item);
			commits[item].back = true;
			waiting_first = (waiting_first + 1) % SLOTS;
			waiting_count--
		:: else -> break
		od;
		free_plan(plan);
		for (item : 1 .. next - 1) {
			assert(commits[item].back && commits[item].freed && (commits[item].copies || plan_freed[item]))
		}
	}
}

/* The loop's thread: submits, withdraws, and takes back when the bell rings. */
active proctype Loop()
{
	byte item, scratch, next = 1;
	bool mine, held;
	do
#ifdef BREAK_ROOM /* as many as come */
	:: next <= COMMITS ->
#else
	:: next <= COMMITS && outstanding < SLOTS ->
#endif
		if
		:: commits[next].plan = next
		:: d_step { commits[next].plan = next; commits[next].due = 2 }
		:: !copy_outstanding -> commits[next].copies = true
		fi;
		submit(next);
		next++
	:: d_step { bell -> bell = false }
		take_back()
	:: d_step { next > 1 && commits[next - 1].due > 0 && !commits[next - 1].back && !commits[next - 1].withdrawn } ->
		/* tz_commit_withdraw: what has come back is not asked for (daemon/schedule.py forgets it) */
		decide(next - 1, WITHDRAWN, mine);
		d_step {
			if
			:: mine -> assert(!commits[next - 1].adopted); commits[next - 1].withdrawn = true
			:: else
			fi
		}
	:: pool_done && (next > COMMITS || outstanding == SLOTS) -> break /* TZ_BUSY: to be tried again later */
	od;
	release()
}
