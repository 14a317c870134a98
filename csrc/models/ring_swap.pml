/* A ring whose memory is exchanged while both sides are at work, as a model for SPIN: tz_ring_resize in ring.c, and what writes and reads meanwhile.
 * Checked exhaustively by tests/csrc/test_models.py: a player writes and resizes while the audio thread reads; by -DRECORDER the audio
 * thread writes, and a recorder reads and offers it other memory. Six frames go through up to four stretches of two frames or one:
 *
 * - no frame is lost, doubled or out of order, and none overwritten before it is read;
 * - no stretch is touched after it was freed; all of them are freed, each once.
 *
 * What positions and futexes are for is in ring.pml: nobody sleeps here. Each BREAK_ takes one thing away, and must be found. */

#define FRAMES 6    /* numbered from 1: what a sample says is which frame it is */
#define PIECE 2     /* the most that is moved at once */
#define STRETCHES 4 /* numbered from 1; 0: none */
#define CAPACITY(number) ((number) % 2 -> 2 : 1)
#define LESSER(a, b) ((a) < (b) -> (a) : (b))
#define GREATER(a, b) ((a) > (b) -> (a) : (b))

/* ---- struct tz_stretch ---- */

typedef stretch { byte samples[2], base, end, next; bool freed }
stretch stretches[STRETCHES + 1];

/* ---- struct tz_ring ---- */

byte written, writing = 1;
byte read, reading = 1;
byte offered, oldest = 1;

byte made = 1; /* stretches so far */
bool writer_done;

inline free(number) { assert(!stretches[number].freed); stretches[number].freed = true }

inline free_until(kept) /* the outside's */
{
	d_step {
		do
		:: oldest != kept -> gone = oldest; oldest = stretches[gone].next; free(gone)
		:: else -> break
		od;
		gone = 0
	}
}

inline write_on_in(number)
{
	d_step {
		assert(number != 0 && !stretches[writing].freed && !stretches[number].freed);
		old = writing;
		stretches[number].base = written;
#ifndef BREAK_NEXT
		stretches[old].end = written;
#endif
		writing = number
	};
	stretches[old].next = number;
#ifdef BREAK_NEXT /* where a stretch ends is told after it was said that it does */
	stretches[old].end = written;
#endif
	old = 0
}

inline put() /* tz_ring_write, tz_ring_push */
{
	d_step { /* space(); then no more than there are left */
		at = written;
		to = GREATER(read, stretches[writing].base);
#ifdef BREAK_BASE /* what lies in an older stretch takes room in the new one */
		to = read;
#endif
		to = at + LESSER(LESSER(CAPACITY(writing) - (at - to), PIECE), FRAMES - at);
		assert(to >= at)
	};
	do
	:: d_step { at < to ->
			assert(!stretches[writing].freed);
			stretches[writing].samples[at % CAPACITY(writing)] = at + 1;
			at++
		}
	:: d_step { at >= to }
		break
	od;
	written = to
}

inline get() /* take() */
{
#ifdef BREAK_ORDER /* whether there is a next one is looked at before it is known how far was written */
	next = stretches[reading].next;
#endif
	d_step {
		at = read;
		known = written;
		to = at + LESSER(known - at, PIECE)
	};
	do
	:: at < to ->
		d_step {
			assert(!stretches[reading].freed);
#ifndef BREAK_ORDER
			next = stretches[reading].next;
#endif
			end = (next != 0 -> stretches[reading].end : known)
#ifdef BREAK_DRAIN /* the old one is left before it is empty */
			;
			end = (next != 0 -> at : known)
#endif
		};
		do
		:: d_step { at < to && at < end ->
				assert(!stretches[reading].freed);
				assert(stretches[reading].samples[at % CAPACITY(reading)] == at + 1);
				at++
			}
		:: d_step { at >= to || at >= end }
			break
		od;
		if
		:: next != 0 && at == end -> reading = next
#ifdef BREAK_ORDER
			;
			next = stretches[reading].next
#endif
		:: else
		fi
	:: else -> break
	od;
	read = to;
	d_step { next = 0; end = 0; known = 0 }
}

inline make() { made++ } /* new_stretch; its number is `made` */

active proctype Writer()
{
	byte at, to, old, gone;
	do
	:: written == FRAMES -> break
	:: written < FRAMES ->
#ifdef RECORDER /* tz_ring_push */
		if
		:: offered != 0 ->
#ifdef BREAK_OFFER /* taken, and only then taken away */
			at = offered;
			offered = 0;
#else
			d_step { at = offered; offered = 0 };
#endif
			write_on_in(at)
		:: else
		fi;
#endif
		put()
#ifndef RECORDER
	:: made < STRETCHES && written < FRAMES -> /* tz_ring_resize by the one who writes */
		make();
		write_on_in(made);
#ifdef BREAK_FREE /* freed when it is written no more, though it is read */
		free_until(writing)
#else
		free_until(reading)
#endif
#endif
	od;
	writer_done = true
}

active proctype Reader()
{
	byte at, to, next, end, known, gone;
	do
	:: read == FRAMES -> break
	:: read < FRAMES && read != written ->
		get();
#ifdef RECORDER /* tz_ring_read */
#ifdef BREAK_FREE
		free_until(writing)
#else
		free_until(reading)
#endif
	:: made < STRETCHES && read < FRAMES -> /* tz_ring_resize by the one who reads; one that was not taken is freed */
		make();
		d_step { gone = offered; offered = made };
		if
		:: gone != 0 -> free(gone); gone = 0
		:: else
		fi
#endif
	od;
	writer_done;
	d_step { /* tz_ring_release */
		assert(read == written);
		free_until(0);
		if
		:: offered != 0 -> free(offered)
		:: else
		fi;
		for (at : 1 .. made) { assert(stretches[at].freed) }
	}
}
