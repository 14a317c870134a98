/* [both] The negative control of the thread sanitizer: two threads and a plain int. Must be reported, or the other reports mean nothing. */
#include <pthread.h>

static int shared;

static void *touch(void *unused)
{
	for (int i = 0; i < 100000; i++)
		shared++;
	return unused;
}

int main(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, touch, NULL);
	touch(NULL);
	pthread_join(thread, NULL);
	return shared == 0;
}
