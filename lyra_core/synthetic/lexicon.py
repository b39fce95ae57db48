# SPDX-License-Identifier: Apache-2.0
"""The words the prompt reader knows. Keys are lower case and singular; phrases may span several words."""

from __future__ import annotations

from .palette import COLORS

_COLOR_SYNONYMS = {
    "white": "ivory snow-white",
    "cream": "beige tan sand off-white ecru",
    "grey": "gray silver steel concrete-grey",
    "dark grey": "charcoal anthracite slate dark-gray",
    "black": "ebony jet-black",
    "red": "crimson scarlet maroon burgundy ruby cherry",
    "orange": "amber terracotta tangerine",
    "yellow": "gold golden mustard lemon",
    "green": "olive emerald lime mint sage",
    "teal": "turquoise cyan aqua petrol",
    "blue": "navy azure indigo cobalt",
    "purple": "violet lilac lavender magenta",
    "pink": "rose salmon",
    "brown": "chocolate chestnut bronze",
}


def _phrases(table: dict[str, str]) -> dict[str, str]:
    """{meaning: "word other-word"} -> {"word": meaning, "other word": meaning}; hyphens stand for spaces."""
    return {word.replace("-", " "): meaning for meaning, words in table.items() for word in words.split()}


COLOR_WORDS = {color: color for color in COLORS} | _phrases(_COLOR_SYNONYMS)
SHADE_WORDS = {"dark", "light", "bright", "pale", "deep", "vivid", "pastel"}

THEME_WORDS = _phrases(
    {
        "living room": "living-room livingroom lounge sitting-room den parlour parlor apartment flat",
        "bedroom": "bedroom guest-room hotel-room nursery",
        "kitchen": "kitchen kitchenette pantry",
        "office": "office study workspace meeting-room conference-room",
        "warehouse": "warehouse storehouse depot storage-hall distribution-center distribution-centre logistics-hall",
        "workshop": "workshop factory manufacturing-hall makerspace production-hall robot-cell",
        "corridor": "corridor hallway passage hall passageway",
        "tabletop": "tabletop table-top desktop desk-top countertop still-life",
        "yard": "yard garden backyard lawn park courtyard meadow patio",
        "street": "street road avenue city town village alley neighbourhood neighborhood boulevard",
        "laboratory": "laboratory lab chemistry-lab biology-lab research-lab",
        "loading dock": "loading-dock loading-bay dock truck-bay goods-entrance shipping-dock",
        "hospital room": "hospital-room hospital ward patient-room sickroom clinic hospital-ward icu",
        "classroom": "classroom schoolroom class-room lecture-room school",
        "shop aisle": "shop-aisle supermarket-aisle supermarket grocery grocery-store store grocery-aisle store-aisle "
        "retail-store",
        "bathroom": "bathroom washroom restroom shower-room bath-room lavatory",
        "garage": "garage car-garage carport double-garage",
    }
)

NEAREST_THEME = _phrases(
    {
        "living room": "room house-interior home living-space dining-room",
        "bedroom": "dormitory hostel",
        "office": "library reception bank",
        "warehouse": "barn hangar storage",
        "workshop": "machine-shop",
        "hospital room": "operating-room surgery nursing-home",
        "laboratory": "cleanroom clean-room pharmacy",
        "shop aisle": "mall shopping-mall boutique market market-hall",
        "garage": "tyre-shop car-workshop body-shop",
        "corridor": "staircase tunnel lobby",
        "yard": "playground forest field terrace farm campsite countryside",
        "street": "parking-lot car-park square highway crossing",
    }
)
"""Places there is no theme for, and the theme that comes closest."""

OBJECT_WORDS = _phrases(
    {
        "sofa": "sofa couch settee loveseat",
        "armchair": "armchair easy-chair recliner",
        "chair:indoor": "chair seat",
        "office chair": "office-chair desk-chair swivel-chair",
        "stool": "stool barstool bar-stool",
        "table:any": "table dining-table kitchen-table",
        "coffee table": "coffee-table side-table",
        "desk:any": "desk writing-desk",
        "school desk": "school-desk pupil-desk student-desk pupil student",
        "bed:any": "bed",
        "bed": "double-bed",
        "hospital bed": "hospital-bed patient-bed sickbed",
        "nightstand": "nightstand night-stand bedside-table",
        "dresser": "dresser chest-of-drawer drawer",
        "wardrobe": "wardrobe closet",
        "cabinet": "cabinet cupboard sideboard commode",
        "bookshelf": "bookshelf bookcase book-shelf",
        "shelf:any": "shelf shelve",
        "shelving": "shelving shelving-unit tote-rack",
        "rack": "rack storage-rack pallet-rack",
        "wall shelf": "wall-shelf",
        "counter": "counter kitchen-counter worktop kitchen-unit",
        "fridge": "fridge refrigerator freezer",
        "stove": "stove oven cooker range",
        "sink:any": "sink washbasin basin",
        "vanity": "vanity wash-stand washstand",
        "tv:any": "tv television telly",
        "desk": "computer workstation pc teacher's-desk",
        "monitor:any": "monitor",
        "patient monitor": "patient-monitor vital-signs-monitor ecg heart-monitor",
        "lamp:any": "lamp",
        "floor lamp": "floor-lamp standing-lamp",
        "table lamp": "table-lamp desk-lamp bedside-lamp",
        "pendant lamp": "hanging-lamp pendant-lamp pendant ceiling-lamp chandelier",
        "street lamp": "street-lamp streetlamp street-light streetlight lamppost lamp-post lantern",
        "plant:any": "plant",
        "plant": "potted-plant houseplant house-plant cactus palm",
        "flower:any": "flower bouquet",
        "vase": "vase",
        "rug": "rug carpet mat",
        "door:any": "door doorway",
        "roller door": "roller-door shutter loading-door",
        "window": "window",
        "curtained window": "curtain drape blind",
        "picture": "picture painting poster frame artwork",
        "mirror": "mirror",
        "clock": "clock",
        "whiteboard": "whiteboard",
        "blackboard": "blackboard chalkboard",
        "radiator": "radiator heater",
        "pipe": "pipe",
        "fire extinguisher": "fire-extinguisher extinguisher",
        "fuse box": "fuse-box electrical-cabinet switchboard",
        "sign": "sign",
        "pillar": "pillar column",
        "crate": "crate wooden-box",
        "boxes": "box carton cardboard-box parcel package",
        "pallet": "pallet skid",
        "barrel": "barrel drum keg oil-drum",
        "cone": "cone traffic-cone",
        "forklift": "forklift fork-lift forklift-truck lift-truck",
        "conveyor": "conveyor conveyor-belt assembly-line",
        "mobile robot": "mobile-robot amr agv robot-cart delivery-robot",
        "robot arm": "robot-arm robotic-arm manipulator industrial-robot cobot",
        "robot:any": "robot",
        "ladder": "ladder stepladder step-ladder",
        "trolley:any": "trolley cart",
        "trolley": "hand-truck hand-cart",
        "bin": "bin trash-can garbage-can wastebasket dustbin trash-bin",
        "workbench": "workbench work-bench",
        "machine": "machine cnc mill lathe cnc-machine",
        "gas bottles": "gas-bottle gas-cylinder",
        "toolbox": "toolbox tool-box tool",
        "mug": "mug cup coffee-cup",
        "bowl": "bowl fruit-bowl fruit",
        "books": "book",
        "bottle": "bottle",
        "blocks": "block toy-block toy",
        "can": "can tin soda-can",
        "apple": "apple",
        "laptop": "laptop notebook",
        "plate": "plate dish",
        "teapot": "teapot kettle",
        "plant pot": "small-plant succulent",
        "tree": "tree oak pine fir",
        "bush": "bush shrub",
        "hedge": "hedge",
        "flower bed": "flower-bed flowerbed",
        "fence": "fence picket-fence",
        "bench": "bench",
        "picnic table": "picnic-table",
        "outdoor set": "garden-table",
        "house": "house cottage home-front",
        "shop": "shop building shop-front",
        "shed": "shed hut cabin",
        "swing": "swing",
        "parasol": "parasol umbrella sunshade",
        "deck chair": "deck-chair deckchair sun-lounger lounger",
        "wheelbarrow": "wheelbarrow wheel-barrow",
        "car": "car automobile sedan vehicle taxi",
        "van": "van minibus",
        "truck": "truck lorry box-truck delivery-truck semi-trailer trailer",
        "traffic light": "traffic-light stoplight",
        "hydrant": "hydrant fire-hydrant",
        "mailbox": "mailbox mail-box postbox letterbox",
        "iv stand": "iv-stand iv-pole drip drip-stand infusion-stand iv",
        "wheelchair": "wheelchair wheel-chair",
        "overbed table": "overbed-table over-bed-table bed-table",
        "medical cart": "medical-cart crash-cart medicine-cart medical-trolley",
        "folding screen": "folding-screen privacy-screen room-divider",
        "bathtub": "bathtub bath-tub tub bath",
        "toilet": "toilet wc loo",
        "shower": "shower shower-cabin shower-cubicle shower-curtain",
        "washing machine": "washing-machine washer dryer",
        "laundry basket": "laundry-basket hamper laundry",
        "laundry cart": "laundry-cart linen-cart",
        "towel rail": "towel-rail towel towel-rack",
        "lab bench": "lab-bench laboratory-bench lab-table",
        "fume hood": "fume-hood fume-cupboard extractor-hood",
        "glovebox": "glovebox glove-box isolator",
        "chemical cabinet": "chemical-cabinet chemical chemical-cupboard",
        "safety shower": "safety-shower emergency-shower eyewash eye-wash",
        "microscope": "microscope",
        "glassware": "glassware flask beaker test-tube",
        "centrifuge": "centrifuge",
        "dock door": "dock-door loading-gate dock-gate",
        "pallet jack": "pallet-jack pallet-truck hand-pallet-truck",
        "roll cage": "roll-cage roll-container cage-trolley",
        "totes": "tote plastic-box storage-box",
        "bollard": "bollard",
        "charging station": "charging-station charger robot-dock",
        "safety fence": "safety-fence machine-guard robot-fence barrier",
        "stairs": "stair stairway staircase-steps step steps work-platform",
        "lockers": "locker",
        "globe": "globe",
        "wall map": "map wall-map world-map",
        "shop shelf": "shop-shelf store-shelf supermarket-shelf grocery-shelf",
        "display cooler": "display-cooler cooler display-fridge chiller refrigerated-shelf",
        "checkout": "checkout till cash-register checkout-counter",
        "shopping cart": "shopping-cart shopping-trolley",
        "fruit stand": "fruit-stand vegetable-stand produce vegetable",
        "clothes rack": "clothes-rack clothing-rack clothe",
        "goods display": "goods-display special-offer",
        "bicycle": "bicycle bike",
        "garage door": "garage-door",
        "tool board": "tool-board pegboard tool-wall",
        "tool chest": "tool-chest tool-cabinet tool-cart",
        "tires": "tire tyre car-tire car-tyre",
        "lawn mower": "lawn-mower lawnmower mower",
        "mannequin": "mannequin shop-dummy dummy",
        "person": "person man woman human worker nurse doctor teacher customer patient pedestrian",
    }
)

BY_THEME: dict[str, dict[str, str]] = {
    "chair:indoor": {"office": "office chair", "yard": "deck chair", "": "chair"},
    "table:any": {"yard": "picnic table", "street": "picnic table", "": "table"},
    "desk:any": {"classroom": "school desk", "": "desk"},
    "bed:any": {"hospital room": "hospital bed", "": "bed"},
    "sink:any": {"bathroom": "vanity", "": "sink"},
    "door:any": {"loading dock": "dock door", "": "door"},
    "monitor:any": {"hospital room": "patient monitor", "": "desk"},
    "trolley:any": {"shop aisle": "shopping cart", "hospital room": "medical cart", "": "trolley"},
    "shelf:any": {
        "warehouse": "rack",
        "loading dock": "rack",
        "workshop": "shelving",
        "corridor": "shelving",
        "laboratory": "shelving",
        "garage": "shelving",
        "shop aisle": "shop shelf",
        "": "bookshelf",
    },
    "tv:any": {"living room": "tv stand", "bedroom": "tv stand", "": "wall tv"},
    "lamp:any": {
        "tabletop": "table lamp",
        "yard": "street lamp",
        "street": "street lamp",
        "kitchen": "pendant lamp",
        "warehouse": "high bay lamp",
        "workshop": "high bay lamp",
        "corridor": "ceiling panel",
        "loading dock": "high bay lamp",
        "laboratory": "ceiling panel",
        "classroom": "ceiling panel",
        "shop aisle": "ceiling panel",
        "garage": "ceiling panel",
        "bathroom": "pendant lamp",
        "": "floor lamp",
    },
    "plant:any": {"tabletop": "plant pot", "yard": "bush", "street": "bush", "": "plant"},
    "flower:any": {"yard": "flower bed", "street": "flower bed", "": "vase"},
    "robot:any": {"workshop": "robot arm", "laboratory": "robot arm", "": "mobile robot"},
}
"""Words whose meaning depends on the place; the key "" is the meaning everywhere else."""

NUMBER_WORDS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "pair": 2, "couple": 2, "both": 2, "three": 3, "few": 3,
    "some": 3, "four": 4, "several": 4, "five": 5, "six": 6, "many": 6, "lot": 6, "lots": 6, "numerous": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "dozens": 12,
}  # fmt: skip

MOOD_WORDS = _phrases(
    {
        "bright": "bright well-lit light airy daylight",
        "sunny": "sunny sunlit sunlight summer morning noon sunshine",
        "dim": "dim dark gloomy shadowy moody dimly-lit",
        "cosy": "cosy cozy warm homely candlelit",
        "modern": "modern contemporary minimalist sleek",
        "cool": "cool cold neutral",
        "cloudy": "cloudy overcast rainy foggy grey-day misty",
        "evening": "evening sunset dusk twilight golden-hour",
        "night": "night midnight nighttime moonlit",
    }
)

SIZE_WORDS = {
    "small": 0.88, "little": 0.88, "tiny": 0.84, "narrow": 0.88, "compact": 0.88, "cramped": 0.84,
    "large": 1.18, "big": 1.18, "huge": 1.25, "spacious": 1.2, "wide": 1.15, "vast": 1.25,
}  # fmt: skip

FLOOR_WORDS = _phrases(
    {
        "wood": "wooden wood parquet plank timber hardwood oak laminate",
        "tile": "tiled tile ceramic marble",
        "checker": "checkered chequered checkerboard chessboard checker",
        "carpet": "carpet carpeted",
        "concrete": "concrete cement screed",
    }
)
WALL_WORDS = _phrases(
    {"brick": "brick bricked", "striped": "striped wallpapered", "tiled": "tiled tile", "plain": "plain plastered"}
)

WALL_NOUNS = {"wall", "wallpaper"}
FLOOR_NOUNS = {"floor", "flooring", "ground"}

PLAIN_WORDS = frozenset(
    """
    the this that these those and or with of in on at to from by for near next beside behind under over above
    below into along against between around front side left right middle centre center corner top there is are has
    have having its it which where while any other each full filled furnished containing standing sitting lying
    parked hanging placed painted coloured colored made scene view photo image render showing inside outside
    indoor outdoor indoors outdoors interior exterior place space one's my our your their his her very quite
    rather new old clean tidy nice beautiful cute pretty simple realistic typical ordinary stylish elegant rustic
    industrial metal plastic glass leather steel stacked loaded open closed round square long short tall low high
    comfortable row stack pile set group bunch piece lit day time style like also plus as x
    """.split()  # noqa: SIM905
)
"""Words that are understood and change nothing."""

LINK_WORDS = {"is", "are", "in", "painted", "coloured", "colored", "being"}
BREAK_WORDS = {
    "with",
    "on",
    "near",
    "beside",
    "behind",
    "under",
    "next",
    "against",
    "containing",
    "showing",
    "has",
    "have",
    "at",
}
EMPTY_WORDS = {"empty", "bare", "uncluttered"}
REFUSING_WORDS = {"no", "without"}
AISLE_WORDS = {"aisle"}
