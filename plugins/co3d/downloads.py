"""Addresses and checksums of CO3D v2, category by category, as its repository publishes them.

From `co3d/links.json` and `co3d/co3d_sha256.json` of https://github.com/facebookresearch/co3d (2122fad, February 2023).
Every archive holds a part of its category's videos and unpacks into the category's folder. Sizes are not published.
"""

from __future__ import annotations

from bench3d.contracts.registration import Download
from bench3d_plugins.co3d.names import folder_of

ADDRESS = "https://dl.fbaipublicfiles.com/co3dv2_231130"

# SHA-256 of <CO3D's category>_000.zip, _001.zip, ...
SHA256 = {
    "bicycle": (
        "fd6a6851f21c955ec56e451d8b135f983911cb7b92c0af2c5f1d1af44d6c361b",
        "529231b3028a2cd1ccf45813f49ed1ac00bd5535b44965bef5273b91625a3beb",
        "6396aaaf55d0bffc3e1191b00be8a6e44c21444e4b98489304387f4144ef350f",
        "8d9e8d0646161e9d540850e3ee718f63d542c6d84432582bbbf7f4b840159f4a",
        "04291ff2dccf79b39cc65e4a514e4c9376abdae19ba878c6d0ab0ef358a1c6ba",
        "70e487bea3aeaa82abb44e49f7cd32cc861564a854b738281cf4d2078ce3324d",
    ),
    "bus": (
        "0766e0ff140f45cb2d8dbb57055a450e2b13df293fad37411f2e70dbee6c1f47",
        "88ba6d75897e20ecfa5c21d43435e295df4a00eb716749f316223283e9991132",
        "c896e031518e7c7dcc50aff911aa5d41f082732112c781b6ae2edac5087a2c08",
    ),
    "car": (
        "96bc0a3d3a5e2b2f954ba0032cbb5b4e8196d6a97f10bfc12d198eb5384b7866",
        "c2e16e6d38823c31d609f7c760172b49b537fdff5230ec6402319219aa90cc62",
        "d4040e9b5b8bb1c0df02fdd8d7e1c335643d03545293997af8e2bd9cd0139198",
        "53bef04ab7adba4bc1f8ef3acc3af9236b2c9ea1a0c20b129a0dcc2e06f1672f",
        "2d2fe2f1ba2a47a02ba1a1c922a2af00b8abbaea046b3461d81445735b231f44",
        "7dd3d01f398a4992e67a1359ed98231d7d86ec27dd1128c0b139f2737b9a5f28",
    ),
    "chair": (
        "78f09f2c92cce85af3f71b8c7a79dbc14142641648133bb60b927e3279666b79",
        "11c076365493a5e380e47beb39e65507674940592436967be0c5428558086c9a",
        "f8a7f5f372e1bc59f6c91abded0ae7f08474ed6a90e1c10f5f927e14fe3ad9ca",
        "954ec2b96993bbdb9f80db8881b2fc9e66663d509166787991bb54f5eb8151c3",
        "f4e655bc7d25c1dfcba117beb914bd52ff8f6d127e494e9ebedcb4151a68b4fd",
        "d5a6682ac6e336b2d89a3af7853b203cb425bb2b51ded483259f4a9f1aaa2947",
        "029e1c414b7c8921cb32860d92e8b275ad97d2f12e7d6a9928b225f931990403",
        "7890b46e64eeb15ad17f505e40b1218458a40aa555bf306c3afc4da11f05c4e3",
        "beb6ba8ee60a8a926cfe7253bb977704f84fe05218e12cfe59de3650ef187cd4",
        "34b3f00be1ab76ef7601086e0a9bbd4eb1a6cad4e9b1888bc17f576dad4c899b",
        "5888423e4e647685d9a623319a4a9f6b98210b04fb8396cdeda0acf81c87b4d7",
        "74cb42f92a835365ff7b89d0d08f61d40fa73b03f6b89986578b990fc03fdada",
        "9cf61a44a01e05c81bcb541198570ee1fc91c0952d6ee13915da16b5a9a35694",
        "5dde453191f109388d7344023a5c96f09830a80a7df8479e5564f4b9808eafa6",
    ),
    "couch": (
        "2117632c69b726be5f0bb4aa2ca742edeb1bbb60a47ae3b40e8f957895a34a61",
        "770d9391e486da2ef9bc5e7c06b2621e582f955f89e80a7aff81561d9a8e83ca",
        "35df6ddd20edb0b58318ef6b3ce35d3c4978c1767d35e365476ff5e0faa5d8d8",
        "380a3441f35f06928811c4ee2db8ad4e4f508433e92394c7dfbf092137d4ac0b",
        "1fcccc5ef05b7b966730182bd6e8b246b57a5a336c7ed54a9c3ecb43446d10d0",
        "1a69a93fe18beadb22694e26eae70bf21574dc12ae0adfa65dbca45dee0d4990",
        "6d50ff020cacb52070166c347c15ce46dd42ba7f6ca72ae035f993a778a36e65",
        "0e062a1d447173f08f4475c69f528c06d04c88124e20b4816bcd0a854c4f4e1b",
    ),
    "motorcycle": (
        "5aea9f41c26e4efa1c700d6df421313da953a8431e52db9591548da200942818",
        "85669860da90780bddc589ba028fea769d386004a7c491706f4f43508c56c962",
        "10e8edf251cd1cba828750b6eb9d98da617fa98471a5672316659649fb0a9cfa",
        "118a3ec0089aa2ae3ff829d96b33802ae1e36e80da4fca57b93797a4c2c6c945",
        "f2a9ad777214c52e2673903a308b734f08eddbcccfc8f5df2922fca3991cedef",
        "6a8b30521ae47ae2582595f54863933994dc9cae4b4460c06b8df791aaa1101d",
        "b8d1ad61d086d38c660b3533c4ab165c238bd9e76fc55cb2a879505e17e5f536",
    ),
    "tv": (
        "5f2d01ebc0c492ee610a15e405868f80797d961c65ec2a904da3aa16d443ab60",
        "00e646273db965ee19107034d3fbe3ccf8f0219c76bf4a889d8f7db761dcb68d",
    ),
}


def downloads(folder: str) -> tuple[Download, ...]:
    """Every archive, unpacked into `folder` under the data root."""
    return tuple(
        Download(url=f"{ADDRESS}/{folder_of(name)}_{number:03d}.zip", sha256=digest, into=folder, categories=(name,))
        for name, digests in SHA256.items()
        for number, digest in enumerate(digests)
    )
