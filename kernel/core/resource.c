/* SPDX-License-Identifier: BSD-2-Clause */
#include "resource.h"
#include "mm.h"

static void resource_destroy(struct object *o)
{
	kfree(o);
}

static const struct object_ops resource_ops = { .destroy = resource_destroy };

struct object *resource_create(void)
{
	struct object *o = kzalloc(sizeof(*o));

	if (o)
		object_init(o, X_TYPE_RESOURCE, &resource_ops);
	return o;
}

int resource_check(uint32_t slot, uint32_t rights)
{
	int err;
	struct object *o = handle_get(slot, X_TYPE_RESOURCE, rights, &err);

	if (o)
		object_unref(o);
	return err;
}
