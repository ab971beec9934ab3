/* An external TFLite delegate that takes the first `most_nodes` nodes of a graph (all without the option) and computes
 * nothing: enough for a real interpreter to say who runs what. The structs are as far as they are used those of
 * TensorFlow Lite's c/common.h, whose layout 2.14 and LiteRT 2.3 share. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct Context Context;
typedef struct Delegate Delegate;

struct Delegate {
  void *data;
  int (*prepare)(Context *, Delegate *);
  void *buffer_copies[3];
  int64_t flags;
  /* Members that newer releases have behind these: zero. */
  void *later[8];
};

typedef struct {
  void *init, *free, *prepare;
  int (*invoke)(Context *, void *);
  const char *(*profiling)(const Context *, const void *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *later[8];
} Registration;

struct Context {
  size_t tensor_count;
  int (*get_execution_plan)(Context *, IntArray **);
  void *tensors, *own, *resize_tensor, *report_error, *add_tensors, *get_node;
  int (*replace_nodes)(Context *, Registration, const IntArray *, Delegate *);
};

static int compute_nothing(Context *context, void *node) {
  (void)context, (void)node;
  return 0;
}

static int take_nodes(Context *context, Delegate *self) {
  IntArray *plan;
  int status = context->get_execution_plan(context, &plan), most = *(int *)self->data;
  int count = plan->size < most ? plan->size : most;
  if (status != 0 || count == 0) return status;
  IntArray *taken = malloc(sizeof(IntArray) + count * sizeof(int));
  taken->size = count;
  memcpy(taken->data, plan->data, count * sizeof(int));
  Registration kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.invoke = compute_nothing;
  kernel.custom_name = "Taken";
  kernel.version = 1;
  status = context->replace_nodes(context, kernel, taken, self);
  free(taken);
  return status;
}

void *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*say)(const char *)) {
  int most = 1 << 20;
  for (size_t index = 0; index < count; index++) {
    if (strcmp(keys[index], "most_nodes") != 0) {
      say("the only option is most_nodes");
      return 0;
    }
    most = atoi(values[index]);
  }
  if (most < 0) {
    say("no device found");
    return 0;
  }
  Delegate *made = calloc(1, sizeof(Delegate));
  made->data = malloc(sizeof(int));
  *(int *)made->data = most;
  made->prepare = take_nodes;
  return made;
}

void tflite_plugin_destroy_delegate(void *made) {
  /* LiteRT's Python also destroys what was never made. */
  if (made) free(((Delegate *)made)->data);
  free(made);
}
