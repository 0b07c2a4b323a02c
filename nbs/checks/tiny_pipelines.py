"""Diffusion pipelines of 1 MB, with all the parts of real ones, for the page and the checks of `diffusers_images`

Pages read it with `runpy.run_path`; it is no part of the package, and needs the extra `diffusers`.
"""
import importlib

import diffusers, numpy as np, torch, transformers
from PIL import Image
from skimage import data

PHOTOS = {name: Image.fromarray(getattr(data, name)()) for name in ("chelsea", "coffee", "astronaut")}

def quiet(on=True):
    "Show no progress bars; works on one core, so that a seed gives the same everywhere"
    for library in diffusers, transformers:
        if on: library.logging.disable_progress_bar()
        else: library.logging.enable_progress_bar()
    if on: torch.set_num_threads(1)

def crops(side):
    x = torch.tensor(np.stack([p.resize((128, 128)) for p in PHOTOS.values()])).permute(0, 3, 1, 2) / 127.5 - 1
    return torch.nn.functional.unfold(x, side, stride=16).permute(0, 2, 1).reshape(-1, 3, side, side)

def autoencoder(channels=4, steps=250):
    "An autoencoder, trained for some seconds on crops of three photos, and its root mean square error, of a range of 1"
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(block_out_channels=(8, 16), norm_num_groups=4, latent_channels=channels,
        down_block_types=["DownEncoderBlock2D"]*2, up_block_types=["UpDecoderBlock2D"]*2)
    x, optimizer = crops(32), torch.optim.Adam(vae.parameters(), 5e-3)
    for _ in range(steps):
        some = x[torch.randint(len(x), (8,))]
        loss = (vae.decode(vae.encode(some).latent_dist.sample()).sample - some).square().mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    scale = float(1 / vae.encode(x).latent_dist.mode().detach().std())
    vae.register_to_config(scaling_factor=scale, shift_factor=0.)
    return vae, loss.item()**.5 / 2

def tokenizer():
    "It knows single characters, which is enough to tell prompts apart"
    letters = [chr(c) for c in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(c + "</w>" for c in letters)]
    return transformers.CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=77)

def text_encoder(kind="CLIPTextModel"):
    torch.manual_seed(1)
    return getattr(transformers, kind)(transformers.CLIPTextConfig(vocab_size=190, hidden_size=16, intermediate_size=32,
        projection_dim=16, num_hidden_layers=1, num_attention_heads=2, bos_token_id=0, eos_token_id=1, pad_token_id=1))

def unet():
    torch.manual_seed(2)
    return diffusers.UNet2DConditionModel(sample_size=32, block_out_channels=(16, 32), layers_per_block=1, 
        norm_num_groups=4, cross_attention_dim=16, attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))

def save(folder, vae, checker=None, eye=None):
    "Save a Stable Diffusion in small"
    scheduler = diffusers.DDIMScheduler(beta_start=.00085, beta_end=.012, beta_schedule="scaled_linear",
        clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    diffusers.StableDiffusionPipeline(vae=vae, text_encoder=text_encoder(), tokenizer=tokenizer(), unet=unet(),
        scheduler=scheduler, safety_checker=checker, feature_extractor=eye, requires_safety_checker=False
    ).save_pretrained(folder)
    return folder

def save_flow(folder, vae):
    "Save a Stable Diffusion 3 in small: a transformer for the U-Net, three text encoders, and flow matching"
    torch.manual_seed(4)
    transformer = diffusers.SD3Transformer2DModel(sample_size=32, patch_size=2, in_channels=4, out_channels=4,
        num_layers=1, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=32, caption_projection_dim=16,
        pooled_projection_dim=32, pos_embed_max_size=64)
    t5 = transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=190, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2))
    one, two = (text_encoder("CLIPTextModelWithProjection") for _ in range(2))
    diffusers.StableDiffusion3Pipeline(transformer=transformer, vae=vae, text_encoder=one, text_encoder_2=two,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(), text_encoder_3=t5, tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), tokenizer_3=tokenizer()).save_pretrained(folder)
    return folder

def safety_checker():
    "A checker with random weights, and what prepares pictures for it; it objects to nothing yet"
    torch.manual_seed(3)
    vision = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    vision |= dict(image_size=32, patch_size=8)
    stable_diffusion = importlib.import_module("diffusers.pipelines.stable_diffusion.safety_checker")
    text = text_encoder().config.to_dict()
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    processor = importlib.import_module("transformers.models.clip").CLIPImageProcessorPil
    eye = processor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return stable_diffusion.StableDiffusionSafetyChecker(config), eye

def object_to(checker, eye, pictures, which):
    "Teach the checker to object to whatever looks, to its random weights, like one of the pictures"
    with torch.no_grad():
        seen = checker.visual_projection(checker.vision_model(eye(pictures, return_tensors="pt").pixel_values)[1])
        checker.concept_embeds[:] = seen[which] - seen.mean(0)
        likeness = torch.nn.functional.cosine_similarity(seen, checker.concept_embeds[:1])
        checker.concept_embeds_weights[:] = likeness.sort().values[-2:].mean()
        checker.special_care_embeds_weights[:] = 2
