/* The virtual card's controls, as alsamixer and the like see them: a volume and a switch for playback ("Master") and capture, and a volume
 * that is no more than that ("Monitor"). They live in the card's page, so a change by one process reaches all others; it is written as
 * files are, not only into the mapping, because that is what inotify rings the clients with. */
#include <alsa/asoundlib.h>
#include <alsa/control_external.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "card_page.h"

static const char *const names[] = {"Master Playback Volume", "Master Playback Switch", "Capture Volume", "Capture Switch",
                                    "Monitor Playback Volume"};
enum { ELEMENTS = sizeof names / sizeof *names, WITH_DECIBELS = 4, CHANNELS = 2 };

struct mixer {
	snd_ctl_ext_t ext;
	struct card card;
	int32_t seen[ELEMENTS][CHANNELS];
};

static int is_switch(snd_ctl_ext_key_t key)
{
	return key % 2 == 1;
}

static int32_t *values(const struct mixer *m, snd_ctl_ext_key_t key)
{
	struct card_fader *fader = &m->card.page->faders[key / 2];
	return is_switch(key) ? fader->on : fader->volume;
}

static int on_count(snd_ctl_ext_t *ext)
{
	(void)ext;
	return ELEMENTS;
}

static void name_element(snd_ctl_elem_id_t *id, unsigned key)
{
	snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
	snd_ctl_elem_id_set_name(id, names[key]);
}

static int on_list(snd_ctl_ext_t *ext, unsigned offset, snd_ctl_elem_id_t *id)
{
	(void)ext;
	if (offset >= ELEMENTS)
		return -EINVAL;
	name_element(id, offset);
	return 0;
}

static snd_ctl_ext_key_t on_find(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
	(void)ext;
	for (snd_ctl_ext_key_t key = 0; key < ELEMENTS; key++)
		if (strcmp(names[key], snd_ctl_elem_id_get_name(id)) == 0)
			return key;
	return SND_CTL_EXT_KEY_NOT_FOUND;
}

static int on_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned *access, unsigned *count)
{
	(void)ext;
	*type = is_switch(key) ? SND_CTL_ELEM_TYPE_BOOLEAN : SND_CTL_ELEM_TYPE_INTEGER;
	*access = SND_CTL_EXT_ACCESS_READWRITE | (is_switch(key) || key >= WITH_DECIBELS ? 0 : SND_CTL_EXT_ACCESS_TLV_READ);
	*count = CHANNELS;
	return 0;
}

static int on_integer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *least, long *most, long *step)
{
	(void)ext;
	(void)key;
	*least = 0;
	*most = CARD_MIXER_TOP;
	*step = 1;
	return 0;
}

static int on_read(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct mixer *m = ext->private_data;
	if (!card_there(&m->card))
		return -ENODEV;
	for (int c = 0; c < CHANNELS; c++)
		value[c] = values(m, key)[c];
	return 0;
}

static int on_write(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct mixer *m = ext->private_data;
	if (!card_there(&m->card))
		return -ENODEV;
	int32_t wanted[CHANNELS];
	for (int c = 0; c < CHANNELS; c++) {
		if (value[c] < 0 || value[c] > (is_switch(key) ? 1 : CARD_MIXER_TOP))
			return -EINVAL;
		wanted[c] = (int32_t)value[c];
	}
	if (memcmp(wanted, values(m, key), sizeof wanted) == 0)
		return 0;
	off_t place = (char *)values(m, key) - (char *)m->card.page;
	return pwrite(m->card.file, wanted, sizeof wanted, place) == sizeof wanted ? 1 : -EIO;
}

/* One event at a time: libasound asks until there is none left. */
static int on_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned *mask)
{
	struct mixer *m = ext->private_data;
	char rung[4096];
	if (!card_there(&m->card))
		return -ENODEV;
	while (read(ext->poll_fd, rung, sizeof rung) > 0)
		;
	for (unsigned key = 0; ext->subscribed && key < ELEMENTS; key++) {
		if (memcmp(m->seen[key], values(m, key), sizeof m->seen[key]) == 0)
			continue;
		memcpy(m->seen[key], values(m, key), sizeof m->seen[key]);
		name_element(id, key);
		*mask = SND_CTL_EVENT_MASK_VALUE;
		return 1;
	}
	return -EAGAIN;
}

static int on_revents(snd_ctl_ext_t *ext, struct pollfd *fds, unsigned count, unsigned short *revents)
{
	struct mixer *m = ext->private_data;
	*revents = count ? fds[0].revents : 0;
	if (!card_there(&m->card))
		*revents |= POLLERR | POLLNVAL;
	return 0;
}

static void on_close(snd_ctl_ext_t *ext)
{
	struct mixer *m = ext->private_data;
	close(ext->poll_fd);
	card_close(&m->card);
	free(m);
}

static const snd_ctl_ext_callback_t callbacks = {
	.close = on_close,
	.elem_count = on_count,
	.elem_list = on_list,
	.find_elem = on_find,
	.get_attribute = on_attribute,
	.get_integer_info = on_integer_info,
	.read_integer = on_read,
	.write_integer = on_write,
	.read_event = on_event,
	.poll_revents = on_revents,
};

/* What is told in dB is told by this: type, bytes, the lowest, the step. */
static const unsigned decibels[] = {SND_CTL_TLVT_DB_SCALE, 8, (unsigned)(-CARD_MIXER_TOP * CARD_MIXER_STEP), CARD_MIXER_STEP};

SND_CTL_PLUGIN_DEFINE_FUNC(tzcard)
{
	(void)root;
	const char *file = card_file(conf);
	if (!file)
		return -EINVAL;
	struct mixer *m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	int error = card_open(&m->card, file);
	if (error) {
		free(m);
		return error;
	}
	m->ext = (snd_ctl_ext_t){
		.version = SND_CTL_EXT_VERSION,
		.card_idx = -1,
		.id = "tzcard",
		.driver = "virtual card",
		.name = "Virtual card",
		.longname = "Virtual card for tests",
		.mixername = "Virtual card",
		.poll_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
		.callback = &callbacks,
		.private_data = m,
		.tlv.p = decibels,
	};
	for (unsigned key = 0; key < ELEMENTS; key++)
		memcpy(m->seen[key], values(m, key), sizeof m->seen[key]);
	error = inotify_add_watch(m->ext.poll_fd, file, IN_MODIFY) < 0 ? -errno : snd_ctl_ext_create(&m->ext, name, mode);
	if (error) {
		on_close(&m->ext);
		return error;
	}
	*handlep = m->ext.handle;
	return 0;
}

SND_CTL_PLUGIN_SYMBOL(tzcard);
