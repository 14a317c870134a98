/* [control] Releasing plans, and showing one to people. */
#include "plan.h"

#include "link.h"
#include "memory.h"
#include "text.h"

void tz_plan_release(struct tz_plan *plan)
{
	if (!plan)
		return;
	for (uint32_t n = 0; n < plan->node_count; n++)
		tz_node_release(plan->nodes[n]);
	for (uint32_t l = 0; l < plan->link_count; l++)
		tz_link_release(plan->links[l]);
	tz_free(plan->samples);
	tz_free(plan->arena);
	tz_free(plan);
}

static unsigned buffer_number(const struct tz_plan *plan, const float *samples)
{
	return (unsigned)((size_t)(samples - plan->samples) / plan->buffer_stride);
}

static void put_sum(const struct tz_plan *plan, const struct tz_sum *sum, struct tz_text *text)
{
	tz_text_put(text, "sum into buffer %u of", buffer_number(plan, sum->target[0]));
	for (uint32_t t = 0; t < sum->term_count; t++) {
		const struct tz_term *term = &sum->terms[t];
		tz_text_put(text, "%s %u%s", t ? "," : "", buffer_number(plan, term->source[0]), term->fading ? " fading" : "");
	}
}

size_t tz_plan_text(const struct tz_plan *plan, char *at, size_t capacity)
{
	struct tz_text text = {.at = at, .capacity = capacity};
	tz_text_put(&text, "%u steps, %u buffers\n", plan->step_count, plan->buffer_count);
	for (uint32_t s = 0; s < plan->step_count; s++) {
		const struct tz_step *step = &plan->steps[s];
		tz_text_put(&text, "%u ", s);
		if (step->kind == TZ_STEP_SUM)
			put_sum(plan, &step->sum, &text);
		else
			tz_text_put(&text, "%s x %u", step->group.type->name, step->group.count);
		for (uint32_t d = 0; d < step->after_count; d++)
			tz_text_put(&text, "%s %u", d ? "," : " after", step->after[d]);
		tz_text_put(&text, "\n");
	}
	return text.needed;
}
