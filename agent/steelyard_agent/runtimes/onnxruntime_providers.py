"""The execution providers of ONNX Runtime: their documented options, defaults that fit, and who ships them.

Options are those of https://onnxruntime.ai/docs/execution-providers/ and of the headers that it points to, for
releases 1.20 to 1.32. A provider that is not in this table takes any option.
"""

from __future__ import annotations

from steelyard_agent.runtimes.provider_names import KnownProvider

CPU = "CPUExecutionProvider"
XNNPACK = "XnnpackExecutionProvider"
SUFFIX = "ExecutionProvider"

_DOCS = "https://onnxruntime.ai/docs/execution-providers/"
_MOBILE = "a build for Android or iOS, or one of your own with --use_xnnpack; no wheel on PyPI has it"

_PROVIDERS = (
    KnownProvider(name=CPU, source=_DOCS),
    KnownProvider(
        name=XNNPACK,
        options=frozenset({"intra_op_num_threads"}),
        thread_option="intra_op_num_threads",
        comes_with=_MOBILE,
        source=_DOCS + "Xnnpack-ExecutionProvider.html",
    ),
    # Flags such as NNAPI_FLAG_USE_FP16 exist in C and Java only: the Python binding passes 0
    # (onnxruntime/python/onnxruntime_pybind_state.cc).
    KnownProvider(
        name="NnapiExecutionProvider",
        comes_with="a build for Android (onnxruntime-android); no wheel on PyPI has it",
        source=_DOCS + "NNAPI-ExecutionProvider.html",
    ),
    KnownProvider(
        name="CoreMLExecutionProvider",
        options=frozenset(
            {
                "ModelFormat",
                "MLComputeUnits",
                "RequireStaticInputShapes",
                "EnableOnSubgraphs",
                "SpecializationStrategy",
                "ProfileComputePlan",
                "AllowLowPrecisionAccumulationOnGPU",
                "ModelCacheDirectory",
            }
        ),
        # The older format, NeuralNetwork, is the library's default and runs fewer ops.
        defaults={"ModelFormat": "MLProgram"},
        cache_options={"ModelCacheDirectory": "{folder}"},
        comes_with="the wheel onnxruntime for macOS",
        source=_DOCS + "CoreML-ExecutionProvider.html",
    ),
    KnownProvider(
        name="TensorrtExecutionProvider",
        options=frozenset(
            {
                "device_id",
                "trt_max_workspace_size",
                "trt_max_partition_iterations",
                "trt_min_subgraph_size",
                "trt_fp16_enable",
                "trt_bf16_enable",
                "trt_int8_enable",
                "trt_int8_calibration_table_name",
                "trt_int8_use_native_calibration_table",
                "trt_dla_enable",
                "trt_dla_core",
                "trt_engine_cache_enable",
                "trt_engine_cache_path",
                "trt_engine_cache_prefix",
                "trt_engine_hw_compatible",
                "trt_engine_decryption_enable",
                "trt_engine_decryption_lib_path",
                "trt_weight_stripped_engine_enable",
                "trt_onnx_model_folder_path",
                "trt_dump_subgraphs",
                "trt_dump_ep_context_model",
                "trt_ep_context_file_path",
                "trt_ep_context_embed_mode",
                "trt_force_sequential_engine_build",
                "trt_context_memory_sharing_enable",
                "trt_layer_norm_fp32_fallback",
                "trt_timing_cache_enable",
                "trt_timing_cache_path",
                "trt_force_timing_cache",
                "trt_detailed_build_log",
                "trt_build_heuristics_enable",
                "trt_sparsity_enable",
                "trt_builder_optimization_level",
                "trt_auxiliary_streams",
                "trt_tactic_sources",
                "trt_extra_plugin_lib_paths",
                "trt_profile_min_shapes",
                "trt_profile_max_shapes",
                "trt_profile_opt_shapes",
                "trt_cuda_graph_enable",
                "trt_preview_features",
                "trt_op_types_to_exclude",
            }
        ),
        is_open=True,
        cache_options={
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": "{folder}",
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": "{folder}",
        },
        comes_with="pip install onnxruntime-gpu, with TensorRT beside it; on a Jetson NVIDIA's own wheel",
        source=_DOCS + "TensorRT-ExecutionProvider.html",
    ),
    KnownProvider(
        name="CUDAExecutionProvider",
        options=frozenset(
            {
                "device_id",
                "gpu_mem_limit",
                "arena_extend_strategy",
                "cudnn_conv_algo_search",
                "cudnn_conv_use_max_workspace",
                "cudnn_conv1d_pad_to_nc1d",
                "do_copy_in_default_stream",
                "enable_cuda_graph",
                "enable_skip_layer_norm_strict_mode",
                "use_ep_level_unified_stream",
                "use_tf32",
                "prefer_nhwc",
                "fuse_conv_bias",
                "sdpa_kernel",
                "tunable_op_enable",
                "tunable_op_tuning_enable",
                "tunable_op_max_tuning_duration_ms",
            }
        ),
        is_open=True,
        comes_with="pip install onnxruntime-gpu; on a Jetson NVIDIA's own wheel",
        source=_DOCS + "CUDA-ExecutionProvider.html",
    ),
    KnownProvider(
        name="OpenVINOExecutionProvider",
        options=frozenset(
            {
                "device_type",
                "precision",
                "num_of_threads",
                "num_streams",
                "cache_dir",
                "load_config",
                "enable_qdq_optimizer",
                "enable_opencl_throttling",
                "disable_dynamic_shapes",
                "model_priority",
                "reshape_input",
                "layout",
            }
        ),
        is_open=True,
        defaults={"device_type": "CPU"},
        # Since 1.23 load_config says the same, and both at once are refused.
        instead_of=frozenset({"load_config"}),
        thread_option="num_of_threads",
        cache_options={"cache_dir": "{folder}"},
        comes_with="pip install onnxruntime-openvino (or --runtime openvino, which needs no provider)",
        source=_DOCS + "OpenVINO-ExecutionProvider.html",
    ),
    KnownProvider(
        name="ACLExecutionProvider",
        options=frozenset({"enable_fast_math"}),
        comes_with="a build of your own with --use_acl; no wheel on PyPI has it",
        source=_DOCS + "community-maintained/ACL-ExecutionProvider.html",
    ),
    KnownProvider(
        name="QNNExecutionProvider",
        options=frozenset(
            {
                "backend_path",
                "backend_type",
                "profiling_level",
                "profiling_file_path",
                "rpc_control_latency",
                "vtcm_mb",
                "htp_performance_mode",
                "qnn_saver_path",
                "qnn_context_priority",
                "htp_graph_finalization_optimization_mode",
                "soc_model",
                "htp_arch",
                "device_id",
                "enable_htp_fp16_precision",
                "enable_htp_shared_memory_allocator",
                "offload_graph_io_quantization",
                "op_packages",
                "dump_json_qnn_graph",
                "json_qnn_graph_dir",
                "skip_qnn_version_check",
            }
        ),
        is_open=True,
        # The NPU; the library's own default is the slow reference backend or none at all, by release.
        defaults={"backend_path": "libQnnHtp.so"},
        instead_of=frozenset({"backend_type"}),
        keeps_context_model=True,
        comes_with="onnxruntime-qnn, or a build of your own with --use_qnn for Linux and Android",
        source=_DOCS + "QNN-ExecutionProvider.html",
    ),
)
PROVIDERS = {provider.name: provider for provider in _PROVIDERS}


def known_provider(name: str) -> KnownProvider:
    """Return what is known of a provider; one without an entry takes any option."""
    return PROVIDERS.get(name) or KnownProvider(name=name, is_open=True, source=_DOCS)


def why_absent(name: str) -> str:
    """Return why a build of ONNX Runtime lacks a provider: where it is to be had."""
    comes_with = known_provider(name).comes_with
    return f"not in the installed build; it comes with {comes_with}" if comes_with else "not in the installed build"
