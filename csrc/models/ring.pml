/* A ring between the audio thread and a thread outside, as a model for SPIN: ring.c with a clock that waits (clock.c: run_freewheel;
 * engine.c: tz_engine_step). Checked exhaustively by tests/csrc/test_models.py, with a player and, by -DRECORDER, with a recorder, for a
 * capacity of two and five frames in pieces of one or two; the loop's thread wakes, ends and closes at any moment:
 *
 * - no frame is lost, doubled, out of order, or overwritten before it is read;
 * - whoever waits is woken: futexes have no time limits here, so one lost wake is a deadlock, which SPIN finds.
 *
 * A real-time clock wakes nobody, and what it does not read in time is counted: there the time limits do what wakes do here.
 *
 * Each access to something that two threads share is a step of its own. SPIN takes steps to be seen in one order; what acquires and releases
 * are for is shown by BREAK_WRITTEN, BREAK_READ and BREAK_ACQUIRE, the orders that a processor may choose without them. Each BREAK_ takes
 * one thing away, and must be found. */

#define CAPACITY 2
#define FRAMES 5 /* numbered from 1: what a sample says is which frame it is */
#define PIECE 2  /* a block, and the most the outside moves at once */

byte samples[CAPACITY];
byte written, read;
bool closed;
byte outside_moved, audio_moved, wakes;
bool ending;   /* the endpoint's own (daemon/endpoints/threaded.py) */
bool cut;      /* the loop did not let it come to its end */
byte promised; /* what was written when a recorder was told to end */

#define LESSER(a, b) ((a) < (b) -> (a) : (b))

/* ---- futex.h: one waits, the other wakes ---- */

bool outside_sleeps, audio_sleeps;

inline futex_wait(word, seen, sleeps)
{
	d_step { sleeps = (word == seen) };
	!sleeps
}

inline futex_wake(sleeps) { sleeps = false }

/* ---- Both ends of ring.c ---- */

#ifdef BREAK_ACQUIRE /* a frame is read before it is known that it is there */
#define look_early() early = samples[read % CAPACITY]
#else
#define look_early() skip
#endif

inline put() /* tz_ring_write, tz_ring_push */
{
	d_step { /* space(): the one acquire; then no more than there are left */
		moved = LESSER(CAPACITY - (written - read), PIECE);
		at = written;
		to = at + LESSER(moved, FRAMES - at)
	};
#ifdef BREAK_WRITTEN /* the position is seen before the frames are */
	written = to;
#endif
	do
	:: at < to -> samples[at % CAPACITY] = at + 1; at++
	:: else -> break
	od;
	written = to
}

inline get() /* tz_ring_read, tz_ring_pull */
{
	d_step { /* fill() */
		at = read;
		to = at + LESSER(written - read, PIECE)
	};
#ifdef BREAK_READ /* the position is seen before the frames are out */
	read = to;
#endif
	do
	:: at < to ->
#ifdef BREAK_ACQUIRE
		assert(early == at + 1);
		early = samples[(at + 1) % CAPACITY];
#else
		assert(samples[at % CAPACITY] == at + 1);
#endif
		at++
	:: else -> break
	od;
	read = to
}

inline move_outside() /* outside_moved */
{
	outside_moved++;
	futex_wake(audio_sleeps)
}

inline nudge() /* tz_ring_nudge */
{
	audio_moved++;
	futex_wake(outside_sleeps)
}

inline wake() /* tz_ring_wake */
{
	wakes++;
#ifdef BREAK_WAKE /* woken, though the word is the same: whoever is about to sleep does not notice */
	futex_wake(outside_sleeps)
#else
	nudge()
#endif
}

inline close_ring() /* tz_ring_close */
{
	closed = true;
	move_outside();
	wake()
}

#define ROOM (CAPACITY - (written - read) > 0)
#define SOUND (written - read > 0)
#ifdef RECORDER
#define audio_moves put
#define outside_moves get
#define AUDIO_CAN ROOM
#define OUTSIDE_CAN SOUND
#define AUDIO_ENDS (written == FRAMES)
#define OUTSIDE_ENDS (read == FRAMES)
#else
#define audio_moves get
#define outside_moves put
#define AUDIO_CAN SOUND
#define OUTSIDE_CAN ROOM
#define AUDIO_ENDS (read == FRAMES)
#define OUTSIDE_ENDS (written == FRAMES)
#endif

/* The audio thread of a clock that waits: tz_wait_for_endpoints, a block, tz_nudge_endpoints. */
active proctype Audio()
{
	byte seen, moved, at, to, early;
	bool shut, can;
	do
	:: AUDIO_ENDS || cut -> break /* cut: the engine may have been stopped */
	:: !AUDIO_ENDS ->
		look_early();
		/* tz_ring_await_outside with tz_ring_can_pull, or _push */
#ifdef BREAK_SEEN_BY_AUDIO /* what is to be waited for is looked at before the word is */
		shut = closed;
		can = AUDIO_CAN;
		seen = outside_moved;
#else
		seen = outside_moved;
		shut = closed;
		can = AUDIO_CAN;
#endif
		if
		:: can -> audio_moves(); nudge()
		:: !can && shut -> break /* from now on silence, or to nowhere */
		:: else -> futex_wait(outside_moved, seen, audio_sleeps)
		fi
	od;
	assert(cut || AUDIO_ENDS)
}

/* A player or a recorder at work (daemon/endpoints); in the end it closes. */
active proctype Outside()
{
	byte seen, moved, at, to, early, heard, now;
	bool shut, can, last;
	do
	:: OUTSIDE_ENDS -> break
	:: else ->
		if
		:: ending -> last = true; can = OUTSIDE_CAN
		:: else -> /* wait_until */
			do
			:: true ->
				look_early();
#ifdef BREAK_SEEN /* as above */
				can = OUTSIDE_CAN;
				now = wakes;
				shut = closed;
				seen = audio_moved;
#else
				seen = audio_moved;
				can = OUTSIDE_CAN;
				now = wakes;
				shut = closed;
#endif
				if
				:: can || shut || now != heard -> heard = now; break
				:: else -> futex_wait(audio_moved, seen, outside_sleeps)
				fi
			od
		fi;
		if
		:: can && !shut -> outside_moves(); move_outside()
		:: shut || (!can && last) -> break
		:: else
		fi
	od;
#ifdef RECORDER
	assert(read >= promised);
#endif
	close_ring()
}

/* The loop's thread: something changes, and then, perhaps, it is to end before its time. */
active proctype Loop()
{
	wake();
	if
	:: cut = true;
#ifdef RECORDER
		promised = written; /* what has been recorded by then is kept */
		ending = true;
		wake()
#else
		ending = true;
		close_ring() /* FileReading.close: what is left is not waited for */
#endif
	:: true
	fi
}
