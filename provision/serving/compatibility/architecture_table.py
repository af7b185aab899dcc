"""Model architectures by the first release of vLLM that knows them: names and releases only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Source: vllm/model_executor/models/registry.py of every release of vLLM from 0.6.6 to 0.33.0 on
# PyPI (source distributions), read on 2026-11-21. 0.8.0, 0.15 and a few patch releases were not
# read. Draft models of speculative decoding are left out.
_FIRST: Final = {
    "0.6.6": """
        AquilaForCausalLM AquilaModel ArcticForCausalLM AriaForConditionalGeneration
        BaiChuanForCausalLM BaichuanForCausalLM BartForConditionalGeneration BartModel
        BertForSequenceClassification BertModel Blip2ForConditionalGeneration BloomForCausalLM
        ChameleonForConditionalGeneration ChatGLMForConditionalGeneration ChatGLMModel
        Cohere2ForCausalLM CohereForCausalLM DbrxForCausalLM DeciLMForCausalLM DeepseekForCausalLM
        DeepseekV2ForCausalLM DeepseekV3ForCausalLM ExaoneForCausalLM FalconForCausalLM
        FalconMambaForCausalLM Florence2ForConditionalGeneration FuyuForCausalLM Gemma2ForCausalLM
        Gemma2Model GemmaForCausalLM GlmForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM
        GPTJForCausalLM GPTNeoXForCausalLM GraniteForCausalLM GraniteMoeForCausalLM GritLM
        H2OVLChatModel Idefics3ForConditionalGeneration InternLM2ForCausalLM
        InternLM2VEForCausalLM InternLMForCausalLM InternVLChatModel JAISLMHeadModel
        JambaForCausalLM JambaForSequenceClassification LLaMAForCausalLM LlamaForCausalLM
        LlamaModel LlavaForConditionalGeneration LlavaNextForConditionalGeneration
        LlavaNextVideoForConditionalGeneration LlavaOnevisionForConditionalGeneration
        MambaForCausalLM MantisForConditionalGeneration MiniCPM3ForCausalLM MiniCPMForCausalLM
        MiniCPMV MistralForCausalLM MistralModel MixtralForCausalLM MllamaForConditionalGeneration
        MolmoForCausalLM MptForCausalLM MPTForCausalLM NemotronForCausalLM NVLM_D Olmo2ForCausalLM
        OlmoeForCausalLM OlmoForCausalLM OPTForCausalLM OrionForCausalLM
        PaliGemmaForConditionalGeneration PersimmonForCausalLM Phi3ForCausalLM
        Phi3SmallForCausalLM Phi3VForCausalLM PhiForCausalLM PhiMoEForCausalLM
        PixtralForConditionalGeneration QuantMixtralForCausalLM Qwen2AudioForConditionalGeneration
        Qwen2ForCausalLM Qwen2ForRewardModel Qwen2ForSequenceClassification Qwen2Model
        Qwen2MoeForCausalLM Qwen2VLForConditionalGeneration QWenLMHeadModel RobertaForMaskedLM
        RobertaForSequenceClassification RobertaModel RWForCausalLM SolarForCausalLM
        StableLMEpochForCausalLM StableLmForCausalLM Starcoder2ForCausalLM TeleChat2ForCausalLM
        UltravoxModel XLMRobertaForSequenceClassification XLMRobertaModel XverseForCausalLM
    """,
    "0.7.0": """
        DeepseekVLV2ForCausalLM Fairseq2LlamaForCausalLM InternLM2ForRewardModel
        InternLM3ForCausalLM Qwen2ForProcessRewardModel WhisperForConditionalGeneration
    """,
    "0.7.1": """
        MiniCPMO
    """,
    "0.7.2": """
        Qwen2_5_VLForConditionalGeneration TransformersModel
    """,
    "0.7.3": """
        BambaForCausalLM GLM4VForCausalLM Mamba2ForCausalLM PrithviGeoSpatialMAE
        QwenVLForConditionalGeneration
    """,
    "0.8.0": """
        Gemma3ForCausalLM Gemma3ForConditionalGeneration GraniteMoeSharedForCausalLM
        Grok1ModelForCausalLM Phi4MMForCausalLM Zamba2ForCausalLM
    """,
    "0.8.2": """
        TeleFLMForCausalLM
    """,
    "0.8.3": """
        AyaVisionForConditionalGeneration Llama4ForCausalLM Llama4ForConditionalGeneration
        MiniMaxText01ForCausalLM Mistral3ForConditionalGeneration SkyworkR1VChatModel
        TransformersForCausalLM
    """,
    "0.8.4": """
        Glm4ForCausalLM Qwen3ForCausalLM Qwen3MoeForCausalLM SmolVLMForConditionalGeneration
    """,
    "0.8.5": """
        GraniteSpeechForConditionalGeneration GteModel KimiVLForConditionalGeneration
        ModernBertForSequenceClassification NomicBertModel Plamo2ForCausalLM Qwen2_5OmniModel
    """,
    "0.9.0": """
        FalconH1ForCausalLM GraniteMoeHybridForCausalLM GteNewModel MiMoForCausalLM
        MiniMaxVL01ForConditionalGeneration ModernBertModel Ovis
        Qwen2_5OmniForConditionalGeneration
    """,
    "0.9.1": """
        NemotronHForCausalLM TarsierForConditionalGeneration
    """,
    "0.9.2": """
        Dots1ForCausalLM Ernie4_5_ForCausalLM Ernie4_5_MoeForCausalLM
        Gemma3nForConditionalGeneration Glm4vForConditionalGeneration
        GPT2ForSequenceClassification HunYuanMoEV1ForCausalLM KeyeForConditionalGeneration
        MiniMaxM1ForCausalLM Qwen3ForSequenceClassification Tarsier2ForConditionalGeneration
    """,
    "0.10.0": """
        ArceeForCausalLM BailingMoeForCausalLM Exaone4ForCausalLM Glm4MoeForCausalLM
        HunYuanDenseV1ForCausalLM JinaVLForRanking Llama_Nemotron_Nano_VL MiniMaxForCausalLM
        Phi4FlashForCausalLM TransformersForMultimodalLM VoxtralForConditionalGeneration
    """,
    "0.10.1": """
        Cohere2VisionForConditionalGeneration Emu3ForConditionalGeneration Ernie4_5ForCausalLM
        Gemma3nForCausalLM Glm4vMoeForConditionalGeneration GptOssForCausalLM HCXVisionForCausalLM
        InternS1ForConditionalGeneration MBartForConditionalGeneration Phi4MultimodalForCausalLM
        SmolLM3ForCausalLM Step3TextForCausalLM Step3VLForConditionalGeneration
    """,
    "0.10.2": """
        ApertusForCausalLM DonutForConditionalGeneration Ernie4_5_VLMoeForConditionalGeneration
        Gemma3TextModel GteNewForSequenceClassification InternVLForConditionalGeneration
        KeyeVL1_5ForConditionalGeneration Lfm2ForCausalLM MiDashengLMModel MotifForCausalLM
        NemotronH_Nano_VL Ovis2_5 Qwen3NextForCausalLM RForConditionalGeneration
        SeedOssForCausalLM Terratorch
    """,
    "0.11.0": """
        BailingMoeV2ForCausalLM BertForTokenClassification CwmForCausalLM DeepseekV32ForCausalLM
        DotsOCRForCausalLM LongcatFlashForCausalLM NemotronH_Nano_VL_V2 Olmo3ForCausalLM
        Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration
    """,
    "0.11.1": """
        AfmoeForCausalLM BeeForConditionalGeneration BertSpladeSparseEmbeddingModel CLIPModel
        DeepseekOCRForCausalLM FlexOlmoForCausalLM KimiLinearForCausalLM Lfm2MoeForCausalLM
        LightOnOCRForConditionalGeneration MiniMaxM2ForCausalLM ModernBertForTokenClassification
        OuroForCausalLM PaddleOCRVLForConditionalGeneration PanguEmbeddedForCausalLM
        PanguUltraMoEForCausalLM Qwen3OmniMoeForConditionalGeneration SiglipModel
        TransformersEmbeddingModel TransformersForSequenceClassification
        TransformersMoEEmbeddingModel TransformersMoEForCausalLM
        TransformersMoEForSequenceClassification TransformersMultiModalEmbeddingModel
        TransformersMultiModalForCausalLM TransformersMultiModalForSequenceClassification
        TransformersMultiModalMoEForCausalLM
    """,
    "0.12.0": """
        HunYuanVLForConditionalGeneration MistralLarge3ForCausalLM OpenCUAForConditionalGeneration
        Plamo3ForCausalLM TeleChatForCausalLM
    """,
    "0.13.0": """
        AudioFlamingo3ForConditionalGeneration BagelForConditionalGeneration Jais2ForCausalLM
    """,
    "0.14.0": """
        ExaoneMoEForCausalLM GlmAsrForConditionalGeneration Grok1ForCausalLM
        IQuestCoderForCausalLM IQuestLoopCoderForCausalLM IsaacForConditionalGeneration
        KananaVForConditionalGeneration Lfm2VlForConditionalGeneration
        LlamaBidirectionalForSequenceClassification LlamaBidirectionalModel MiMoV2FlashForCausalLM
        NemotronParseForConditionalGeneration PanguProMoEV2ForCausalLM VoxtralStreamingGeneration
    """,
    "0.16.0": """
        BgeM3EmbeddingModel DeepseekOCR2ForCausalLM FunAudioChatForConditionalGeneration
        Glm4MoeLiteForCausalLM GlmMoeDsaForCausalLM GlmOcrForConditionalGeneration HF_ColBERT
        InternS1ProForConditionalGeneration KimiK25ForConditionalGeneration
        Molmo2ForConditionalGeneration MusicFlamingoForConditionalGeneration
        NemotronHPuzzleForCausalLM OpenPanguVLForConditionalGeneration
        Qwen3ASRForConditionalGeneration Step1ForCausalLM Step3p5ForCausalLM
        StepVLForConditionalGeneration VoxtralRealtimeGeneration
        VoyageQwen3BidirectionalEmbedModel
    """,
    "0.17.0": """
        AXK1ForCausalLM BailingMoeV2_5ForCausalLM ColBERTJinaRobertaModel ColBERTModernBertModel
        ColModernVBertForRetrieval ColQwen3 FireRedASR2ForConditionalGeneration
        FunASRForConditionalGeneration LlamaNemotronVLForSequenceClassification
        LlamaNemotronVLModel OpsColQwen3Model Ovis2_6_MoeForCausalLM Ovis2_6ForCausalLM
        Qwen3_5ForConditionalGeneration Qwen3_5MoeForConditionalGeneration
        Qwen3ASRRealtimeGeneration Qwen3VLNemotronEmbedModel
    """,
    "0.18.0": """
        ColPaliForRetrieval ErnieForSequenceClassification ErnieForTokenClassification ErnieModel
        HCXVisionV2ForCausalLM HyperCLOVAXForCausalLM MoonshotKimiaForCausalLM
        OlmoHybridForCausalLM SarvamMLAForCausalLM SarvamMoEForCausalLM
    """,
    "0.19.0": """
        CohereAsrForConditionalGeneration ColBERTLfm2Model ColQwen3_5 Gemma4ForCausalLM
        Gemma4ForConditionalGeneration Qwen3ASRForcedAlignerForTokenClassification
    """,
    "0.20.0": """
        Cheers CheersForConditionalGeneration DeepseekV4ForCausalLM
        Exaone4_5_ForConditionalGeneration FireRedLIDForConditionalGeneration
        Granite4VisionForConditionalGeneration HYV3ForCausalLM JinaEmbeddingsV5Model
        JinaForRanking Ministral3ForCausalLM NemotronH_Nano_Omni_Reasoning_V3
        NemotronH_Super_Omni_Reasoning_V3 Param2MoEForCausalLM Phi4ForCausalLMV Rnj1ForCausalLM
        TeleChat3ForCausalLM
    """,
    "0.21.0": """
        Cohere2MoeForCausalLM HfMoondream LagunaForCausalLM MiMoV2ForCausalLM
        MiMoV2OmniForCausalLM Moondream3ForCausalLM QianfanOCRForConditionalGeneration
    """,
    "0.22.0": """
        InternS2PreviewForConditionalGeneration MiniCPMV4_6ForConditionalGeneration
        OpenVLAForActionPrediction
    """,
    "0.22.1": """
        MellumForCausalLM
    """,
    "0.23.0": """
        Cosmos3ForConditionalGeneration Gemma4UnifiedForConditionalGeneration
        GraniteSpeechPlusForConditionalGeneration Step3p7ForConditionalGeneration
    """,
    "0.24.0": """
        DiffusionGemmaForBlockDiffusion HrmTextForCausalLM MiniMaxM3SparseForCausalLM
        MiniMaxM3SparseForConditionalGeneration MossAudioModel
    """,
    "0.25.0": """
        DFlashLagunaForCausalLM LlavaOnevision2ForConditionalGeneration
        MossTranscribeDiarizeForConditionalGeneration OpenAIPrivacyFilterForTokenClassification
        UnlimitedOCRForCausalLM
    """,
    "0.26.0": """
        BertForMaskedLM Cosmos3EdgeForConditionalGeneration InklingForCausalLM
        InklingForConditionalGeneration LongcatFlashNgramForCausalLM RobertaForTokenClassification
        XLMRobertaForTokenClassification
    """,
    "0.27.0": """
        ExaoneMoeForCausalLM KimiK3ForConditionalGeneration Qwen3_5ForCausalLM
        Qwen3_5MoeForCausalLM VaultGemmaForCausalLM VibeVoiceAsrForConditionalGeneration
    """,
    "0.28.0": """
        BailingMoeV3ForCausalLM Dots3NoteForCausalLM InternS2MobiusForConditionalGeneration
        MuseGlimmerForCausalLM MuseGlimmerForConditionalGeneration
    """,
    "0.29.0": """
        DeepseekV3BidirectionalModel GraniteMoeSWAForCausalLM GraniteSWAForCausalLM
        HYV4ForCausalLM NemotronH_Omni_Reasoning_V3 Qwen4ExpForCausalLM
        Qwen4ExpForConditionalGeneration
    """,
    "0.30.0": """
        BailingMoeV3VLForConditionalGeneration CohereCompassForConditionalGeneration
        DeepseekV41ForCausalLM DeepseekV4ForConditionalGeneration Glm5NextForCausalLM
        Glm5NextForConditionalGeneration K2HorizonForCausalLM NanbeigeForCausalLM
    """,
    "0.32.0": """
        ClefOmniForJointSchema EmbeddingGemma2Model MiniCPMV4_7ForConditionalGeneration
        Nemotron3_5AsrForRNNT
    """,
    "0.33.0": """
        AliceAIForCausalLM Alpamayo2Super BeamForCausalLM ClefFlashForJointSchema
        ColUltraVBertForRetrieval D3ForSequenceClassification DFlashQwen3XPressModel
        DomynEdgeForCausalLM DoryForCausalLM FlintForCausalLM Kolibri1ForCausalLM
        Lfm2BidirectionalModel MiniCPMOcrForConditionalGeneration ModernVBertModel
        MuseSparkForConditionalGeneration Qwen3XPressModel RadioMBartPrefixForCausalLM
        Step5ForCausalLM Step5ForConditionalGeneration
    """,
}
"""0.6.6 stands for itself and all releases before it."""
FIRST: Final[Mapping[str, str]] = {
    name: release for release, names in _FIRST.items() for name in names.split()
}
"""The first release by architecture."""
LAST: Final[Mapping[str, str]] = {
    "ChatGLMForConditionalGeneration": "0.7.2",
    "Ernie4_5_ForCausalLM": "0.10.0",
    "ExaoneMoEForCausalLM": "0.26.0",
    "NemotronH_Nano_VL": "0.10.2",
    "Phi4FlashForCausalLM": "0.10.2",
    "QuantMixtralForCausalLM": "0.10.1",
    "TransformersForMultimodalLM": "0.11.0",
    "TransformersModel": "0.11.0",
    "VoxtralStreamingGeneration": "0.14.1",
}
"""The last release with an architecture that the newest does not have."""
