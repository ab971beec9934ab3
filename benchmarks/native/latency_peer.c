/* The native peer of the worker: the same libonnxruntime, options and phases, no Python.
 *
 * Usage: latency_peer LIBONNXRUNTIME MODEL INPUT SHAPE OUTPUT WINDOW_MS   (SHAPE as 1x3x224x224)
 * Binds a float32 input and the output once, runs once, warms up as the worker does (until the medians of three
 * successive windows of 50 ms agree within 3 %, 2 s at most), then times single runs for the window, 10 at least, and
 * prints nanoseconds per run, one sample a line.
 *
 * The wheel carries no header: functions are reached by their place in the OrtApi table, which never changes because
 * the table only grows.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  GET_ERROR_MESSAGE = 2,
  CREATE_ENV = 3,
  CREATE_SESSION = 7,
  CREATE_SESSION_OPTIONS = 10,
  ENABLE_CPU_MEM_ARENA = 18,
  SET_GRAPH_OPTIMIZATION_LEVEL = 23,
  SET_INTRA_OP_NUM_THREADS = 24,
  CREATE_TENSOR_WITH_DATA = 49,
  CREATE_CPU_MEMORY_INFO = 69,
  ADD_SESSION_CONFIG_ENTRY = 130,
  RUN_WITH_BINDING = 133,
  CREATE_IO_BINDING = 134,
  BIND_INPUT = 136,
  BIND_OUTPUT_TO_DEVICE = 138,
};
enum { API_VERSION = 20, LOG_ERROR = 3, FLOAT32 = 1, OPTIMIZE_ALL = 99, MOST_SAMPLES = 1 << 20, LEAST_SAMPLES = 10 };
static const int64_t WARM_UP_WINDOW_NS = 50000000, WARM_UP_CAP_NS = 2000000000;
static const double WARM_UP_TOLERANCE = 0.03;

typedef void *(*function)();
typedef struct {
  const void **(*get_api)(uint32_t);
  const char *(*version)(void);
} api_base;

static const void **api;
static void *session, *binding;
static int64_t samples[MOST_SAMPLES];

#define CALL(index, ...)                                                             \
  do {                                                                               \
    void *status = ((function)api[index])(__VA_ARGS__);                              \
    if (status) {                                                                    \
      fprintf(stderr, "%s\n", (const char *)((function)api[GET_ERROR_MESSAGE])(status)); \
      exit(1);                                                                       \
    }                                                                                \
  } while (0)

static int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void open_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  const api_base *(*get_base)(void) = (const api_base *(*)(void))dlsym(library, "OrtGetApiBase");
  api = get_base()->get_api(API_VERSION);
}

/* The options of the worker's block, each set by name: no default of either language's binding decides. */
static void open_session(const char *model) {
  void *environment, *options;
  CALL(CREATE_ENV, LOG_ERROR, "peer", &environment);
  CALL(CREATE_SESSION_OPTIONS, &options);
  CALL(SET_INTRA_OP_NUM_THREADS, options, 1);
  CALL(SET_GRAPH_OPTIMIZATION_LEVEL, options, OPTIMIZE_ALL);
  CALL(ENABLE_CPU_MEM_ARENA, options);
  CALL(ADD_SESSION_CONFIG_ENTRY, options, "session.intra_op.allow_spinning", "1");
  CALL(ADD_SESSION_CONFIG_ENTRY, options, "session.inter_op.allow_spinning", "1");
  CALL(CREATE_SESSION, environment, model, options, &session);
}

static void bind(const char *input_name, char *shape_text, const char *output_name) {
  int64_t shape[8], elements = 1;
  size_t rank = 0;
  for (char *part = strtok(shape_text, "x"); part && rank < 8; part = strtok(NULL, "x")) {
    shape[rank] = atoll(part);
    elements *= shape[rank++];
  }
  void *memory, *input;
  size_t bytes = (size_t)elements * sizeof(float);
  float *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
  for (int64_t i = 0; i < elements; i++) data[i] = 2.0f * rand() / (float)RAND_MAX - 1.0f;
  CALL(CREATE_CPU_MEMORY_INFO, 0, 0, &memory);
  CALL(CREATE_TENSOR_WITH_DATA, memory, data, bytes, shape, rank, FLOAT32, &input);
  CALL(CREATE_IO_BINDING, session, &binding);
  CALL(BIND_INPUT, binding, input_name, input);
  CALL(BIND_OUTPUT_TO_DEVICE, binding, output_name, memory);
}

static int take_samples(int64_t window_ns, int least) {
  int kept = 0;
  for (int64_t end = now_ns() + window_ns, after = 0; kept < MOST_SAMPLES && (after < end || kept < least);) {
    int64_t before = now_ns();
    CALL(RUN_WITH_BINDING, session, NULL, binding);
    after = now_ns();
    samples[kept++] = after - before;
  }
  return kept;
}

static int by_size(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

static double window_median(void) {
  int kept = take_samples(WARM_UP_WINDOW_NS, 1);
  qsort(samples, (size_t)kept, sizeof *samples, by_size);
  return (samples[(kept - 1) / 2] + samples[kept / 2]) / 2.0;
}

static void warm_up(void) {
  double last[3];
  int64_t start = now_ns();
  for (int windows = 1;; windows++) {
    last[windows % 3] = window_median();
    double low = last[0], high = last[0];
    for (int i = 1; i < 3 && windows >= 3; i++) {
      low = last[i] < low ? last[i] : low;
      high = last[i] > high ? last[i] : high;
    }
    if ((windows >= 3 && high - low <= WARM_UP_TOLERANCE * low) || now_ns() - start >= WARM_UP_CAP_NS) return;
  }
}

int main(int count, char **words) {
  if (count != 7) {
    fprintf(stderr, "usage: latency_peer LIB MODEL INPUT SHAPE OUTPUT WINDOW_MS\n");
    return 2;
  }
  open_library(words[1]);
  open_session(words[2]);
  bind(words[3], words[4], words[5]);
  CALL(RUN_WITH_BINDING, session, NULL, binding);
  warm_up();
  int kept = take_samples(atoll(words[6]) * 1000000, LEAST_SAMPLES);
  for (int i = 0; i < kept; i++) printf("%lld\n", (long long)samples[i]);
  return 0;
}
